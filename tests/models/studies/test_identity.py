"""When two trainings are the same."""

from typing import Any

import pytest

from models.corpus.folds import Fold
from models.studies.grid import Grid
from models.studies.identity import identity
from models.training_plan import Recipe

DATA = "0" * 64


def of(data: str = DATA, fold: Fold | None = None, **fields: Any) -> str:
    return identity(Recipe.model_validate(fields), "train", fold, data)


VANILLA = {"defense": {"type": "vanilla"}}


class TestTheSame:
    def test_a_cell_and_a_training_that_was_asked_for_by_hand(self) -> None:
        grid = Grid.model_validate(
            {"preset": "icassp2020-paper", "trainings": ["similarity"], "epsilons": [0.06]}
        )
        by_hand = Recipe.model_validate(
            {
                "defense": {"type": "similarity", "distance": "l2"},
                "epsilon": 0.06,
                "adversarial_from": 1_000,
                "frames": 373,
            }
        )
        assert grid.cells()[0].identity(DATA) == identity(by_hand, "train", None, DATA)

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ({"epsilon": 0.1}, {"epsilon": 0.02}),  # single takes no strength
            ({"adversarial_from": 5}, {}),
            ({"epsilon_ramp": 5}, {}),
            ({"augment_share": 0.9}, {}),  # of nothing
            ({**VANILLA, "adversarial_from": 1_000}, VANILLA),
            ({**VANILLA, "attack": {"type": "fgsm"}}, VANILLA),
            ({"defense": {"type": "vanilla", "alpha": 0.5}}, VANILLA),
            ({"learning_rate": 1}, {"learning_rate": 1.0}),
        ],
    )
    def test_recipes_that_differ_in_words(self, one: dict[str, Any], other: dict[str, Any]) -> None:
        assert of(**one) == of(**other)


class TestNotTheSame:
    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ({"seed": 1}, {}),
            ({"architecture": "vgg16"}, {}),
            (VANILLA, {}),
            (VANILLA, {"defense": {"type": "similarity"}}),
            ({"defense": {"type": "pgd"}}, {"defense": {"type": "trades"}}),
            ({"defense": {"type": "vanilla", "alpha": 0.4}}, VANILLA),
            ({**VANILLA, "epsilon": 0.1}, VANILLA),
            ({**VANILLA, "adversarial_from": 5}, VANILLA),
            ({**VANILLA, "epsilon_ramp": 5}, VANILLA),
            ({**VANILLA, "crafting": "fused"}, VANILLA),
            ({"class_weights": "balanced"}, {}),
            ({"sampling": "balanced"}, {}),
            ({**VANILLA, "attack": {"type": "fgsm", "labels": "predicted"}}, VANILLA),
            ({**VANILLA, "attack": {"type": "noise"}}, {**VANILLA, "attack": {"type": "pgd"}}),
            ({"augment": [{"type": "gain", "db": [-6]}]}, {}),
            (
                {"augment": [{"type": "gain", "db": [-6]}], "augment_share": 0.9},
                {"augment": [{"type": "gain", "db": [-6]}]},
            ),
        ],
    )
    def test_recipes_that_train_otherwise(self, one: dict[str, Any], other: dict[str, Any]) -> None:
        assert of(**one) != of(**other)

    def test_other_data_other_partitions_another_fold(self) -> None:
        fold = Fold(number=1, of=5)
        found = {of(), of(data="1" * 64), of(fold=fold), of(fold=Fold(number=2, of=5))}
        found.add(identity(Recipe(), "train+dev", None, DATA))
        assert len(found) == 5


class TestStaysTheSame:
    def test_over_versions(self) -> None:
        """Every field is given as the paper has it. If this fails, a default has changed, or a new
        field's default is not what trainings did before it: trainings that were done would count as
        others, or others as done."""
        recipe: dict[str, Any] = {
            "architecture": "vgg16",
            "defense": {"type": "similarity", "beta": 0.4, "gamma": 0.4, "distance": "l2"},
            "attack": {"type": "fgsm", "labels": "true"},
            "epsilon": 0.06,
            "iterations": 10_000,
            "adversarial_from": 1_000,
            "batch_size": 16,
            "learning_rate": 1e-3,
            "decay": 0.9,
            "decay_every": 100,
            "cooldown": 0,
            "frames": 373,
            "front_end": "logmel-1",
            "augment": [{"type": "noise", "snr_db": [20, 10]}],
            "augment_share": 0.3,
            "precision": "float32",
            "seed": 0,
        }
        assert of(**recipe) == ("de0bfa847c920e705128d19e6d50f822b7d55540c1cf4277eb5676d6a10c4528")
