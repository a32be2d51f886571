"""Attacks and defences on a command line: ``pgd steps=10 epsilon=0.02,0.04``, or their JSON.

Which there are, and what they take, the registries know: nothing of it is listed here, so that an
attack of yours can be named, and stands in the help, as soon as its file is there.
"""

import json
import re
import textwrap
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import typer
from typer.core import TyperCommand

from app.cli.errors import CliError

if TYPE_CHECKING:
    from pydantic import BaseModel

    from models.catalogue import Catalogue
    from models.registry import Registry

is_short_number = re.compile(r"[+-]?\.[0-9]+").fullmatch
"""Whether it is written without the zero that JSON wants."""


def parse_object(text: str, option: str) -> dict[str, Any]:
    """What an option says of an attack or a defence, as the service takes it.

    Args:
        text: ``TYPE NAME=VALUE …``, or a JSON object. A value that is JSON is that, one with commas
            is a list, and everything else is text.
        option: its name, for errors.

    Raises:
        CliError: it is neither.
    """
    if text.lstrip().startswith("{"):
        try:
            found: dict[str, Any] = json.loads(text)
        except ValueError as error:
            raise CliError(f"{option} {text!r} is not JSON: {error}") from error
        return found
    type_, *pairs = text.split() or [""]
    if not type_ or "=" in type_:
        raise CliError(f'{option} is {text!r}; begin with a type, such as "pgd steps=10"')
    return {"type": type_} | parse_pairs(pairs, option)


def parse_pairs(pairs: Sequence[str], option: str) -> dict[str, Any]:
    """What ``NAME=VALUE`` says, value by value as in :func:`parse_object`.

    Raises:
        CliError: one of them is something else, or a name comes twice.
    """
    said: dict[str, Any] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise CliError(f"{option} holds {pair!r}; give NAME=VALUE, such as steps=10")
        if name in said:
            raise CliError(f"{option} gives {name} twice; give it once")
        said[name] = _value(value)
    return said


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        if is_short_number(text):
            return float(text)
    if "," in text:
        return [_value(part) for part in text.split(",")]
    return text


class CommandWithLists(TyperCommand):
    """A command whose help ends with what is registered, looked up when help is asked for."""

    lists: ClassVar[dict[str, Callable[[], "Registry[Any] | Catalogue[Any]"]]] = {}
    """What to list, by its heading. Called late: it brings torch, which other commands do
    without."""

    def format_help(self, ctx: Any, formatter: Any) -> None:  # of typer's own copy of click
        """The command's own help, then the lists."""
        super().format_help(ctx, formatter)
        for heading, registered in self.lists.items():
            typer.echo("\n".join([f"{heading}:", *describe(registered())]) + "\n")


def describe(registered: "Registry[Any] | Catalogue[Any]") -> list[str]:
    """Lines that tell what is registered: of classes with parameters those, the common ones once,
    with their defaults."""
    if isinstance(registered, dict):
        return [line for name in registered for line in _named(name, registered[name])]
    registry = registered
    classes = [registry[name] for name in registry]
    common = set.intersection(*(set(cls.model_fields) for cls in classes)) - {"type"}
    lines = []
    for cls in classes:
        lines += _named(cls.model_fields["type"].default, cls)
        lines += _parameters(cls, [name for name in cls.model_fields if name not in common])
    if common:
        lines.append("  all of them:")
        lines += _parameters(classes[0], [n for n in classes[0].model_fields if n in common])
    return lines


def _named(name: str, thing: Any) -> list[str]:
    first = (thing.__doc__ or "").strip().split("\n\n")[0]
    return _wrapped(f"{name}: {' '.join(first.split())}", 2)


def _parameters(cls: "type[BaseModel]", names: list[str]) -> list[str]:
    lines = []
    for name in names:
        field = cls.model_fields[name]
        if name == "type":
            continue
        default = "" if field.is_required() else f" [{_shown(field.get_default())}]"
        told = f": {field.description}" if field.description else ""
        lines += _wrapped(f"{field.alias or name}{default}{told}", 6)
    return lines


def _wrapped(text: str, indent: int) -> list[str]:
    return textwrap.wrap(
        text, 80, initial_indent=" " * indent, subsequent_indent=" " * (indent + 4)
    )


def _shown(value: Any) -> str:
    return "none" if value is None else str(value)


def command_with(
    lists: dict[str, Callable[[], "Registry[Any] | Catalogue[Any]"]],
) -> type[TyperCommand]:
    """The class of a command whose help ends with these lists, by heading."""
    return type("Command", (CommandWithLists,), {"lists": lists})
