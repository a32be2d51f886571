"""Things of one kind by name, which register themselves: architectures, corpus adapters.

What has parameters of its own is a pydantic model and belongs into a
:class:`models.registry.Registry`; what is known by nothing but its name belongs here. Requests, the
command line and the documents take the names from there; nothing else lists them.
"""

from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

T = TypeVar("T")
Member = TypeVar("Member", bound=Any)


class Catalogue(dict[str, T]):
    """The things of one kind, by name, in the order in which they were registered.

    Args:
        kind: the noun, such as "architecture", for messages.
    """

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind

    def register(self, name: str) -> Callable[[Member], Member]:
        """Decorator: make a class or a function known under ``name``.

        Raises:
            ValueError: another one has that name.
        """

        def add(thing: Member) -> Member:
            if name in self:
                raise ValueError(f"two of kind {self.kind} are called {name!r}")
            self[name] = thing
            return thing

        return add


class NameIn:
    """As an annotation, ``Annotated[str, NameIn(CATALOGUE)]``: a name that is registered.

    What is registered is looked up when a value is read, and when a schema is made.

    Args:
        catalogue: whose names.
        also: names that are known beside them, listed first.
    """

    def __init__(self, catalogue: Catalogue[Any], *also: str) -> None:
        self.catalogue = catalogue
        self.also = also

    @property
    def names(self) -> list[str]:
        """All that are known now."""
        return [*self.also, *sorted(self.catalogue)]

    def _known(self, name: str) -> str:
        if name not in self.names:
            raise PydanticCustomError(
                f"unknown_{self.catalogue.kind}",
                "there is no {kind} {name}: choose one of {known}",
                {
                    "kind": self.catalogue.kind,
                    "name": repr(name)[:60],
                    "known": ", ".join(self.names),
                },
            )
        return name

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._known, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return handler(schema) | {"enum": self.names}
