"""Presets of trainings: what holds for all, and what each of them is."""

import pytest

from models.defenses import DEFENSES
from models.training_plan import Recipe
from models.training_presets import TRAINING_PRESETS, TrainingPreset, described


@pytest.mark.parametrize("preset", TRAINING_PRESETS.values(), ids=list(TRAINING_PRESETS))
class TestEveryTrainingPreset:
    def test_holds_with_each_of_its_defences(self, preset: type[TrainingPreset]) -> None:
        for type_, parameters in preset.defenses.items():
            defense = DEFENSES.parse({"type": type_, **parameters})
            recipe = Recipe.model_validate(
                preset.fields | {"defense": defense, "attack": preset.attack}
            )
            assert recipe.attack == preset.attack

    def test_leaves_open_what_its_method_compares(self, preset: type[TrainingPreset]) -> None:
        assert not {"architecture", "defense", "epsilon", "seed"} & preset.fields.keys()


class TestIcassp2020:
    def test_the_paper_lets_the_rate_fall_and_the_code_does_not(self) -> None:
        paper, code = (
            Recipe.model_validate(TRAINING_PRESETS[name].fields)
            for name in ("icassp2020-paper", "icassp2020-reference-code")
        )
        assert paper.rate(0) == 1e-3
        assert paper.rate(100) == pytest.approx(9e-4)
        assert (code.rate(0), code.rate(9_999)) == (1e-3, 1e-3)

    def test_the_code_attacks_the_predicted_label_and_compares_by_mse(self) -> None:
        paper, code = (
            TRAINING_PRESETS[name] for name in ("icassp2020-paper", "icassp2020-reference-code")
        )
        assert (paper.attack.labels, code.attack.labels) == ("true", "predicted")
        assert paper.defenses["similarity"]["distance"] == "l2"
        assert code.defenses["similarity"]["distance"] == "mse"

    def test_each_says_what_it_is(self) -> None:
        assert all(f"{name}: As " in described() for name in TRAINING_PRESETS)
