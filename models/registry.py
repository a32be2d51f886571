"""One kind of thing in many classes, told apart by their field ``type``: attacks, defences, …

A class is declared once, in a file of its own, with its parameters as pydantic fields. Everything
else (the REST schema, the command line, what is stored) asks the registry; nothing else lists
names.
"""

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from typing import Any, Generic, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, core_schema

T = TypeVar("T", bound=BaseModel)


class Registry(Generic[T]):
    """The classes of one kind, by the value of their field ``type``.

    As an annotation, ``Annotated[Base, REGISTRY]``, it is the discriminated union of whatever is
    registered at that moment. A refusal names the field without the union's tag
    (``attacks.0.epsilon``), so that a new member breaks no client.

    Args:
        kind: the noun of the field, such as "attack", for messages.
        default: the type of a value that names none; None if it must be named.
    """

    def __init__(self, kind: str, default: str | None = None) -> None:
        self.kind = kind
        self.default = default
        self._classes: dict[str, type[T]] = {}
        self._being_described = ContextVar(f"{kind} being described", default=False)

    def register(self, cls: type[T]) -> type[T]:
        """Class decorator: make ``cls`` known under the value of its field ``type``.

        Raises:
            TypeError: ``type`` is not a literal of one name with that name as its default.
            ValueError: another class has that name.
        """
        name = _declared_type(cls)
        if name in self._classes:
            raise ValueError(f"two classes of {self.kind} are called {name!r}")
        self._classes[name] = cls
        return cls

    def unregister(self, name: str) -> None:
        """Forget a class: for tests that register one of their own."""
        del self._classes[name]

    def __getitem__(self, name: str) -> type[T]:
        return self._classes[name]

    def __contains__(self, name: object) -> bool:
        return name in self._classes

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._classes))

    def __len__(self) -> int:
        return len(self._classes)

    def parse(self, value: object) -> T:
        """The object that ``value`` describes: a mapping with ``type``, or an object already.

        Raises:
            pydantic.ValidationError: there is no such type, or a parameter is missing, unknown or
                out of its bounds.
        """
        if isinstance(value, tuple(self._classes.values())):
            return value  # type: ignore[return-value]  # of a registered class
        if not isinstance(value, Mapping):
            message = "give an object with a type: {known}"
            raise self._refusal((), f"{self.kind}_type", message, value)
        name = value.get("type", self.default)
        if name is None:
            raise self._refusal(("type",), "missing", "is missing: give {known}", value)
        if not isinstance(name, str) or name not in self._classes:
            message = "{name} is unknown: give {known}"
            raise self._refusal(("type",), f"unknown_{self.kind}", message, name)
        return self._classes[name].model_validate(dict(value) | {"type": name})

    def _refusal(
        self, where: tuple[str, ...], code: str, message: str, given: object
    ) -> ValidationError:
        # "known" is put in before "name", so a name that holds "{known}" stays as it was given
        words = {"known": f"one of {', '.join(self)}", "name": repr(given)[:60]}
        error = PydanticCustomError(code, message, words)
        detail = InitErrorDetails(type=error, loc=where, input=given)
        return ValidationError.from_exception_data(self.kind, [detail])

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self.parse)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """The union of what is registered now; each member is a component of its own.

        A member may hold another of its kind, as an attack that crafts on another model does:
        inside a description, members are named and not described again.
        """
        inside = self._being_described.get()
        token = self._being_described.set(True)
        try:
            members = {name: _component(self._classes[name], described=inside) for name in self}
            return handler(core_schema.tagged_union_schema(dict(members), discriminator="type"))
        finally:
            self._being_described.reset(token)


def _declared_type(cls: type[BaseModel]) -> str:
    field = cls.model_fields.get("type")
    names = get_args(field.annotation) if field and get_origin(field.annotation) is Literal else ()
    if field is None or len(names) != 1 or field.default != names[0]:
        raise TypeError(f'{cls.__name__} needs a field such as type: Literal["name"] = "name"')
    return str(names[0])


def _component(cls: type[BaseModel], *, described: bool) -> CoreSchema:
    """The schema of a class, of which pydantic makes a component by itself; with ``described`` the
    reference to that alone."""
    schema: Any = cls.__pydantic_core_schema__
    if not described:
        return schema  # type: ignore[no-any-return]
    own = schema["schema"] if schema["type"] == "definitions" else schema
    return core_schema.definition_reference_schema(own.get("ref") or own["schema_ref"])


def import_modules(package: str, path: list[str]) -> None:
    """Import every module of a package, so that what is declared in it registers itself.

    Args:
        package: its dotted name.
        path: its ``__path__``.
    """
    for module in pkgutil.iter_modules(path):
        importlib.import_module(f"{package}.{module.name}")
