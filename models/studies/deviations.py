"""In what a study is not as the preset that it names."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from models.studies.trainings import StudyTraining
from models.training_plan import Recipe
from models.training_presets import TrainingPreset

PROBE: Final = {"type": "vanilla"}
"""A defence with which no field of a recipe is without use."""
COMPARED: Final = {"architecture", "defense", "epsilon", "seed"}
"""Fields of a recipe that a study compares, so no preset has them."""


class Deviation(BaseModel):
    """A field in which a study is another than its preset."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    field: str = Field(
        description="Of a training; of a defence, with its type before it.",
        examples=["iterations"],
    )
    value: Any = Field(description="Of the study.", examples=[2000])
    of_the_preset: Any = Field(examples=[10000])


def deviations(
    base: Mapping[str, Any], trainings: Sequence[StudyTraining], preset: type[TrainingPreset]
) -> Iterator[Deviation]:
    """What is not as in the preset. What that does not speak of has its default there.

    Args:
        base: fields that all trainings of the study share.
        trainings: of the study.
        preset: that it names.
    """
    usual = _shared({**preset.fields, "attack": preset.attack})
    for field, value in _shared(base).items():
        if value != usual[field]:
            yield Deviation(field=field, value=value, of_the_preset=usual[field])
    for training in trainings:
        for one in training.unusual(preset):
            field = f"{training.type}.{one.name}"
            yield Deviation(field=field, value=one.value, of_the_preset=one.usual)


def _shared(fields: Mapping[str, Any]) -> dict[str, Any]:
    """All fields of a recipe that no study compares, in JSON's types."""
    recipe = Recipe.model_validate({**fields, "defense": PROBE})
    found = recipe.model_dump(mode="json", exclude=COMPARED)
    return {**found, "adversarial_from": recipe.first_adversarial}
