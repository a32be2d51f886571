"""A preset in a request becomes the attacks and corruptions that it stands for.

What a request has itself comes first, and the preset's come behind it. A preset's attack that the
request has already is not added again: so a stored request, which names its preset beside all that
was run, can be posted again as it is.
"""

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from models.attacks import ATTACKS, Attack
from models.corruptions import CORRUPTIONS
from models.presets import PRESETS, Preset
from models.registry import Registry

T = TypeVar("T", bound=BaseModel)


def expanded(values: Mapping[str, Any]) -> Mapping[str, Any]:
    """A request with what its preset stands for.

    Whatever does not hold in it stays as it is, for the fields' own refusals.
    """
    preset = named(values.get("preset"))
    if preset is None:
        return values
    attacks = (*preset.attacks, *_transferred(preset, values.get("transfer_from")))
    return {
        **preset.fields,
        **values,
        "attacks": _with(values.get("attacks", []), attacks, ATTACKS),
        "corruptions": _with(values.get("corruptions", []), preset.corruptions, CORRUPTIONS),
    }


def named(name: object) -> type[Preset] | None:
    """The preset of this name, if there is one."""
    return PRESETS.get(name) if isinstance(name, str) else None


def _transferred(preset: type[Preset], source: object) -> tuple[Attack, ...]:
    if not isinstance(source, str):
        return ()
    try:
        return preset.transferred(source)
    except ValidationError:  # the field refuses such a name itself
        return ()


def _with(own: object, more: Iterable[T], registry: Registry[T]) -> object:
    if not isinstance(own, list):
        return own
    known = [_parsed(one, registry) for one in own]
    return [*own, *(one for one in more if one not in known)]


def _parsed(value: object, registry: Registry[T]) -> T | None:
    try:
        return registry.parse(value)
    except ValidationError:
        return None
