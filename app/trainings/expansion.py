"""A preset in a request for a training becomes the fields that it stands for."""

from collections.abc import Iterator, Mapping
from typing import Any

from models.defenses import DEFENSES, Defense
from models.training_plan import Recipe
from models.training_presets import TRAINING_PRESETS, TrainingPreset


def expanded(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """A request with the fields of its preset that it does not give itself.

    Whatever does not hold in it stays as it is, for the fields' own refusals.
    """
    preset = named(values.get("preset"))
    if preset is None:
        return values
    found = {**preset.fields, **values}
    defense = values.get("defense")
    type_ = defense.get("type") if isinstance(defense, Mapping) else None
    if isinstance(defense, Mapping) and type_ in preset.defenses:
        found["defense"] = {**preset.defenses[type_], **defense}
    if isinstance(type_, str) and type_ in DEFENSES and DEFENSES[type_].inputs == "attack":
        found.setdefault("attack", preset.attack)
    return found


def named(name: object) -> type[TrainingPreset] | None:
    """The preset of this name, if there is one."""
    return TRAINING_PRESETS.get(name) if isinstance(name, str) else None


def differing(preset: type[TrainingPreset], recipe: Recipe) -> Iterator[tuple[str, object, object]]:
    """(field, its value, that of the preset) of each field of a recipe that is not the preset's."""
    for field, wanted in preset.fields.items():
        given = getattr(recipe, field)
        if (list(given) if isinstance(given, tuple) else given) != wanted:
            yield field, given, wanted
    defense: Defense = recipe.defense
    for field, wanted in preset.defenses.get(defense.type, {}).items():
        if getattr(defense, field) != wanted:
            yield f"defense.{field}", getattr(defense, field), wanted
    if defense.inputs == "attack" and recipe.attack != preset.attack:
        yield "attack", recipe.attack.describe(), preset.attack.describe()
