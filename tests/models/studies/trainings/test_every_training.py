"""What holds for every training of a study, and for one that is added."""

from collections.abc import Iterator
from typing import Any

import pytest

from models.attacks.fgsm import Fgsm
from models.defenses import DEFENSES
from models.studies.grid import Grid
from models.studies.trainings import STUDY_TRAININGS, OfDefense, StudyTraining
from models.training_plan import Recipe
from models.training_presets import TRAINING_PRESETS
from tests.models.pages import added

BASE = {"iterations": 50, "frames": 64, "attack": {"type": "fgsm", "labels": "predicted"}}


@pytest.fixture(params=sorted(STUDY_TRAININGS))
def training(request: pytest.FixtureRequest) -> StudyTraining:
    return STUDY_TRAININGS.parse({"type": request.param})


def recipe(training: StudyTraining, epsilon: float = 0.06, **base: Any) -> Recipe:
    given = epsilon if training.has_epsilon else None
    return Recipe.model_validate(training.fields({**BASE, **base}, given))


class TestEveryTraining:
    def test_makes_a_recipe_of_what_the_study_shares(self, training: StudyTraining) -> None:
        made = recipe(training)
        assert (made.iterations, made.frames) == (50, 64)

    def test_trains_at_the_strength_that_it_is_given(self, training: StudyTraining) -> None:
        if training.has_epsilon:
            assert recipe(training, 0.08).epsilon == 0.08

    def test_without_a_strength_makes_no_adversarial_data(self, training: StudyTraining) -> None:
        assert (recipe(training).defense.inputs == "clean") is not training.has_epsilon

    def test_is_told_how_to_craft_only_if_it_uses_the_attack_of_the_study(
        self, training: StudyTraining
    ) -> None:
        fields = training.fields({**BASE, "crafting": "fused"}, 0.06)
        assert ("crafting" in fields) is (fields.get("attack") == BASE["attack"])

    def test_leaves_what_the_study_shares_as_it_was(self, training: StudyTraining) -> None:
        shared = {**BASE, "augment": []}
        training.fields(shared, 0.06)
        assert shared == {**BASE, "augment": []}

    @pytest.mark.parametrize("preset", TRAINING_PRESETS.values(), ids=list(TRAINING_PRESETS))
    def test_takes_the_parameters_of_each_preset(
        self, training: StudyTraining, preset: Any
    ) -> None:
        parameters = training.of_preset(preset)
        assert type(training).model_validate(parameters).unusual(preset) == []


class TestTrainingsThatAreDefences:
    def test_have_the_type_the_parameters_and_the_attack_of_the_defence(
        self, training: StudyTraining
    ) -> None:
        if isinstance(training, OfDefense):
            made = recipe(training)
            assert made.defense == DEFENSES.parse({"type": training.type})
            attacked = made.attack == Fgsm(labels="predicted")
            assert attacked is (made.defense.inputs == "attack")

    def test_are_the_papers_and_two_more(self) -> None:
        found = {name for name in STUDY_TRAININGS if issubclass(STUDY_TRAININGS[name], OfDefense)}
        assert found >= {"single", "vanilla", "similarity", "pgd", "trades"}


class TestNoiseAudio:
    def test_is_clean_training_with_white_noise_on_half_of_the_recordings(self) -> None:
        made = recipe(STUDY_TRAININGS.parse({"type": "noise-audio", "snr_db": [15]}))
        assert [one.model_dump() for one in made.augment] == [
            {"type": "noise", "snr_db": (15.0,), "color": "white"}
        ]
        assert (made.defense.type, made.augment_share) == ("single", 0.5)

    def test_comes_behind_what_the_study_augments_with(self) -> None:
        gain = {"type": "gain", "db": [-6]}
        made = recipe(STUDY_TRAININGS.parse({"type": "noise-audio"}), augment=[gain])
        assert [one.type for one in made.augment] == ["gain", "noise"]


class TestNoiseSpectrogram:
    def test_is_vanilla_training_with_noise_of_the_size_of_the_attack(self) -> None:
        made = recipe(STUDY_TRAININGS.parse({"type": "noise-spectrogram", "alpha": 0.4}), 0.1)
        assert made.defense.model_dump() == {"type": "vanilla", "alpha": 0.4}
        assert (made.attack.type, made.attack.control, made.epsilon) == ("noise", True, 0.1)
        assert made.attack.parameters()["kind"] == "sign"


class TestAddingATraining:
    @pytest.fixture
    def example(self) -> Iterator[type[StudyTraining]]:
        with added("adding-a-study-training.md") as names:
            yield names["Rooms"]

    def test_the_example_of_the_page_is_a_training_of_a_grid(
        self, example: type[StudyTraining]
    ) -> None:
        grid = Grid.model_validate(
            {
                "architectures": ["cnn4"],
                "trainings": ["single", "rooms"],
                "train_on": ["train"],
            }
        )
        _, cell = grid.cells()
        assert cell.training == example.model_fields["type"].default
        assert [one.type for one in cell.recipe.augment] == ["reverb"]
