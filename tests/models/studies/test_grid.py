"""The grid of a study: which trainings it has, what it refuses, how far it is from its preset."""

import json
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import pytest
from pydantic import TypeAdapter, ValidationError

from models.studies.cell import Cell
from models.studies.expansion import spelt_out
from models.studies.grid import Grid
from models.studies.trainings import STUDY_TRAININGS, StudyTraining
from models.training_plan import Recipe


def grid(**given: Any) -> Grid:
    """Of one architecture, trained on train, unless it is told otherwise."""
    return Grid.model_validate({"architectures": ["cnn4"], "train_on": ["train"], **given})


def refused(**given: Any) -> tuple[str, str]:
    """The field and the message of the one refusal."""
    with pytest.raises(ValidationError) as refusal:
        grid(**given)
    (fault,) = refusal.value.errors()
    return ".".join(map(str, fault["loc"])), fault["msg"]


class TestCells:
    def test_are_those_of_the_papers_table_2_by_default(self) -> None:
        cells = Grid().cells()
        assert len(cells) == 3 * (1 + 5 + 5) * 2
        assert {(cell.architecture, cell.train_on) for cell in cells} == {
            (architecture, part)
            for architecture in ("cnn4", "resnet50", "vgg16")
            for part in ("train", "train+dev")
        }

    def test_single_stands_once_for_all_strengths(self) -> None:
        found = grid(trainings=["single", "vanilla"], epsilons=[0.02, 0.06], seeds=[1, 2]).cells()
        assert [(cell.training, cell.epsilon, cell.seed) for cell in found] == [
            ("single", None, 1),
            ("vanilla", 0.02, 1),
            ("vanilla", 0.06, 1),
            ("single", None, 2),
            ("vanilla", 0.02, 2),
            ("vanilla", 0.06, 2),
        ]

    def test_are_as_many_as_the_grid_says_before_it_makes_them(self) -> None:
        for one in (Grid(), grid(trainings=["single"]), grid(seeds=[0, 1, 2], epsilons=[0.1])):
            assert one.n_cells == len(one.cells())

    def test_have_the_recipe_of_their_training(self) -> None:
        (cell,) = grid(
            trainings=[{"type": "similarity", "beta": 0.3}],
            epsilons=[0.06],
            seeds=[7],
            iterations=2_000,
            recipe={"frames": 128, "attack": {"type": "pgd", "steps": 3}},
        ).cells()
        assert cell.recipe == Recipe.model_validate(
            {
                "defense": {"type": "similarity", "beta": 0.3},
                "attack": {"type": "pgd", "steps": 3},
                "epsilon": 0.06,
                "seed": 7,
                "iterations": 2_000,
                "frames": 128,
            }
        )

    def test_craft_as_the_study_says_where_they_use_its_attack(self) -> None:
        trainings = ["single", "vanilla", "noise-spectrogram", "noise-audio", "pgd"]
        found = grid(trainings=trainings, epsilons=[0.1], recipe={"crafting": "fused"}).cells()
        assert [cell.training for cell in found if cell.recipe.crafting == "fused"] == ["vanilla"]

    def test_are_named_by_what_tells_them_apart(self) -> None:
        found = grid(
            trainings=["single", {"type": "similarity", "beta": 0.3}], epsilons=[0.1], seeds=[2]
        ).cells()
        assert [cell.name for cell in found] == [
            "cnn4 single seed=2 train",
            "cnn4 similarity beta=0.3 ε=0.1 seed=2 train",
        ]

    def test_have_names_that_fit_and_differ_whatever_their_parameters(self) -> None:
        strengths = [list(map(float, range(first, first + 32))) for first in (0, 1)]
        given = [{"type": "noise-audio", "snr_db": [100.0, *one[:-1]]} for one in strengths]
        labels = [cell.label for cell in grid(trainings=given).cells()]
        assert len(set(labels)) == 2
        assert max(map(len, labels)) <= 100

    def test_of_one_type_with_other_parameters_are_several(self) -> None:
        variants = [{"type": "vanilla", "alpha": alpha} for alpha in (0.5, 0.3)]
        found = grid(trainings=variants, epsilons=[0.1]).cells()
        assert [cell.parameters for cell in found] == [{}, {"alpha": 0.3}]

    def test_survive_json(self) -> None:
        for cell in grid(trainings=["noise-audio", "similarity", "noise-spectrogram"]).cells():
            assert Cell.model_validate_json(cell.model_dump_json()) == cell


class TestPreset:
    def test_sets_what_the_grid_does_not_give(self) -> None:
        made = grid(
            preset="icassp2020-reference-code", trainings=["single", "similarity"], epsilons=[0.1]
        )
        single, similarity = made.cells()
        assert (single.recipe.decay, single.recipe.attack.labels) == (1.0, "true")
        assert similarity.recipe.attack.labels == "predicted"
        assert similarity.recipe.defense.model_dump()["distance"] == "mse"
        assert (made.iterations, made.deviations()) == (10_000, [])

    def test_does_not_name_the_parameters_that_it_sets_itself(self) -> None:
        (cell,) = grid(preset="icassp2020-paper", trainings=["similarity"], epsilons=[0.1]).cells()
        assert cell.recipe.defense.model_dump()["distance"] == "l2"
        assert cell.parameters == {}

    def test_holds_for_the_trainings_of_a_grid_that_gives_none(self) -> None:
        defenses = [
            cell.recipe.defense.model_dump() for cell in grid(preset="icassp2020-paper").cells()
        ]
        assert {one["distance"] for one in defenses if one["type"] == "similarity"} == {"l2"}

    def test_tells_what_a_grid_has_otherwise(self) -> None:
        made = grid(
            preset="icassp2020-paper",
            iterations=2_000,
            recipe={"frames": 128, "augment_share": 0.1},
            trainings=["single", {"type": "similarity", "beta": 0.3}],
        )
        assert {(one.field, one.value, one.of_the_preset) for one in made.deviations()} == {
            ("iterations", 2_000, 10_000),
            ("adversarial_from", 200, 1_000),
            ("frames", 128, 373),
            ("augment_share", 0.1, 0.3),
            ("similarity.beta", 0.3, 0.4),
        }

    def test_keeps_its_first_adversarial_iteration_unless_the_training_is_shorter(self) -> None:
        longer = grid(preset="icassp2020-paper", iterations=20_000)
        given = grid(preset="icassp2020-paper", iterations=2_000, recipe={"adversarial_from": 50})
        found = [one.cells()[-1].recipe.first_adversarial for one in (longer, given)]
        assert found == [1_000, 50]

    def test_is_written_out_so_that_a_stored_grid_stays_the_same(self) -> None:
        for preset in (None, "icassp2020-paper"):
            made = grid(preset=preset, iterations=2_000, trainings=["single", "similarity"])
            stored = json.loads(made.model_dump_json())
            assert stored["recipe"].keys() >= {"frames", "decay", "attack", "front_end"}
            assert Grid.model_validate(stored) == made
            assert Grid.model_validate(stored | {"preset": None}).cells()[0].recipe == (
                made.cells()[0].recipe
            )


class TestSpeltOut:
    def test_a_training_has_what_it_was_given_then_the_preset_then_the_defaults(self) -> None:
        training = STUDY_TRAININGS.parse({"type": "similarity", "beta": 0.3})
        assert spelt_out(training, "icassp2020-paper") == {
            "type": "similarity",
            "beta": 0.3,
            "gamma": 0.4,
            "distance": "l2",
        }
        assert spelt_out(training, None)["distance"] == "mse"


class TestRefusals:
    @pytest.mark.parametrize(
        "axis", ["architectures", "trainings", "epsilons", "seeds", "train_on"]
    )
    def test_an_empty_axis(self, axis: str) -> None:
        assert refused(**{axis: []}) == (axis, "is empty: give at least one, or leave it out")

    @pytest.mark.parametrize(
        ("axis", "entries", "shown"),
        [
            ("architectures", ["cnn4", "cnn4"], "cnn4"),
            ("trainings", ["single", {"type": "single"}], "single"),
            ("trainings", ["vanilla", {"type": "vanilla", "alpha": 0.5}], "vanilla"),
            ("epsilons", [0.02, 0.02], "0.02"),
            ("seeds", [0, 0], "0"),
            ("train_on", ["train", "train"], "train"),
        ],
    )
    def test_an_entry_that_stands_twice(self, axis: str, entries: list[Any], shown: str) -> None:
        message = f"holds {shown} more than once: give each once"
        assert refused(**{axis: entries}) == (axis, message)

    def test_an_unknown_training_with_those_that_there_are(self) -> None:
        where, message = refused(trainings=["single", "vanila"])
        assert where == "trainings.1.type"
        assert "'vanila' is unknown: give one of noise-audio" in message

    def test_a_parameter_out_of_its_bounds(self) -> None:
        where, _ = refused(trainings=[{"type": "similarity", "beta": 1.5}])
        assert where == "trainings.0.beta"

    def test_weights_of_similarity_above_1(self) -> None:
        where, message = refused(trainings=["single", {"type": "similarity", "beta": 0.7}])
        assert where == "trainings.1.gamma"
        assert message.startswith("beta + gamma is 1.1: give weights that sum to at most 1")

    def test_weights_above_1_together_with_those_of_the_preset(self) -> None:
        given: list[Any] = [{"type": "similarity", "gamma": 0.7}]
        where, message = refused(preset="icassp2020-paper", trainings=given)
        assert (where, message[:22]) == ("trainings.0.gamma", "beta + gamma is 1.1: g")

    def test_a_strength_that_the_attack_does_not_have(self) -> None:
        where, message = refused(trainings=["vanilla"], epsilons=[0.1, 11.0])
        assert where == "epsilons.1"
        assert message == "11.0 is more than 10.0 sigma, the most that is accepted"

    @pytest.mark.parametrize("epsilon", [-0.1, float("nan"), float("inf")])
    def test_a_strength_that_is_none(self, epsilon: float) -> None:
        assert refused(epsilons=[0.1, epsilon])[0] == "epsilons.1"

    def test_a_field_of_the_recipe_that_is_the_grids_own(self) -> None:
        assert refused(recipe={"seed": 1}) == (
            "recipe",
            "seed stands beside recipe, not in it: give seeds",
        )

    def test_an_unknown_field_of_the_recipe_with_those_that_there_are(self) -> None:
        where, message = refused(recipe={"frame": 128})
        assert where == "recipe"
        assert message.startswith("'frame' is no field of a training: give one of adversarial_from")

    def test_a_value_of_the_recipe_once_and_by_its_name(self) -> None:
        assert refused(recipe={"frames": 1})[0] == "recipe.frames"
        attack = {"type": "pgd", "steps": 0}
        assert refused(recipe={"attack": attack})[0] == "recipe.attack.steps"

    def test_a_training_whose_recipe_does_not_hold(self) -> None:
        class Loose(StudyTraining):
            has_epsilon: ClassVar[bool] = False
            type: Literal["loose"] = "loose"

            def fields(self, base: Mapping[str, Any], epsilon: float | None) -> dict[str, Any]:
                return {**base, "defense": {"type": "vanilla", "alpha": 2}}

        STUDY_TRAININGS.register(Loose)
        try:
            assert refused(trainings=["single", "loose"])[0] == "trainings.1.alpha"
        finally:
            STUDY_TRAININGS.unregister("loose")

    def test_more_entries_than_any_grid_has(self) -> None:
        assert refused(seeds=list(range(33)))[0] == "seeds"

    def test_the_schema_offers_names_and_objects(self) -> None:
        schema = TypeAdapter(Grid).json_schema()["properties"]["trainings"]["items"]
        assert "noise-audio" in schema["anyOf"][0]["enum"]
        assert schema["anyOf"][1]["discriminator"]["propertyName"] == "type"
