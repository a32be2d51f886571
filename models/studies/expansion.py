"""A preset in a study becomes what it stands for."""

from collections.abc import Mapping
from typing import Any, Final

from models.studies.trainings import STUDY_TRAININGS, StudyTraining
from models.studies.trainings.training import as_object
from models.training_plan import Recipe
from models.training_presets import TRAINING_PRESETS, TrainingPreset

TRAININGS: Final = ("single", "vanilla", "similarity")
"""Of the paper's Table 2."""
ITERATIONS: Final[int] = Recipe.model_fields["iterations"].default


def expanded(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """A study with all of its preset that it does not give itself. Doing so twice changes nothing.

    Whatever does not hold in it stays as it is, for the fields' own refusals.
    """
    preset = named(values.get("preset"))
    recipe = values.get("recipe", {})
    if preset is None or not isinstance(recipe, Mapping):
        return values
    of_all = {**preset.fields, "attack": preset.attack.model_dump(mode="json")}
    usual = of_all.pop("iterations", ITERATIONS)
    iterations = values.get("iterations", usual)
    if isinstance(iterations, int) and iterations < usual:
        # A shortened training gets to adversarial data earlier, as the recipe's default says.
        of_all["adversarial_from"] = None
    found = {**values, "iterations": iterations, "recipe": {**of_all, **recipe}}
    trainings = values.get("trainings", TRAININGS)
    if isinstance(trainings, list | tuple):
        found["trainings"] = tuple(with_parameters(one, preset) for one in trainings)
    return found


def named(name: object) -> type[TrainingPreset] | None:
    """The preset of this name, if there is one."""
    return TRAINING_PRESETS.get(name) if isinstance(name, str) else None


def with_parameters(training: object, preset: type[TrainingPreset]) -> object:
    """A training with the parameters of a preset that it does not give itself."""
    given = as_object(training)
    type_ = given.get("type") if isinstance(given, Mapping) else None
    if not isinstance(given, Mapping) or not isinstance(type_, str) or type_ not in STUDY_TRAININGS:
        return training
    return {**STUDY_TRAININGS[type_].of_preset(preset), **given}


def spelt_out(training: StudyTraining, preset: str | None) -> dict[str, Any]:
    """All parameters of a training in JSON's types: what it was given, before what the preset of
    this name says, before the defaults."""
    known = named(preset)
    return {
        **type(training).model_validate({}).model_dump(mode="json"),
        **({} if known is None else training.of_preset(known)),
        **training.model_dump(mode="json", exclude_unset=True),
    }
