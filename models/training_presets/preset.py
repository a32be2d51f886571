"""What a preset of a training is: values for fields of a recipe, under one name.

It leaves open what its method compares: architecture, defence and strength.
"""

from typing import Annotated, Any, ClassVar, Final

from models.attacks import Attack
from models.catalogue import Catalogue, NameIn


class TrainingPreset:
    """Base of all of them. The first paragraph of a subclass's docstring is its description.

    Class attributes:
        fields: of a recipe, with their values.
        defenses: parameters of a defence with their values, by its type.
        attack: of a defence that takes one.
    """

    fields: ClassVar[dict[str, Any]]
    defenses: ClassVar[dict[str, dict[str, Any]]]
    attack: ClassVar[Attack]


TRAINING_PRESETS: Final[Catalogue[type[TrainingPreset]]] = Catalogue("preset")
"""Every preset of a training by name."""

TrainingPresetName = Annotated[str, NameIn(TRAINING_PRESETS)]


def description(preset: type[TrainingPreset]) -> str:
    """What it is, in one line."""
    return " ".join((preset.__doc__ or "").split("\n\n")[0].split())


def described() -> str:
    """What there is to choose from, for requests."""
    told = sorted(TRAINING_PRESETS.items())
    return " ".join(f"{name}: {description(one)}" for name, one in told)
