"""What may stand in the query of a request. As everywhere, what is unknown is refused: a misspelt
filter must not answer with the unfiltered list.

Every route but those of `app.observability.health` takes one of these, or a Schema of its own.
"""

from collections.abc import Mapping
from typing import Annotated, Final, Literal, TypeVar

from fastapi import Query
from fastapi.exceptions import RequestValidationError
from pydantic import Field, ValidationError
from pydantic.config import JsonDict

from app.schemas import Schema

S = TypeVar("S", bound=Schema)


CURSOR: Final[JsonDict] = {
    "anyOf": [{"type": "string", "maxLength": 100, "pattern": "^[A-Za-z0-9_-]+$"}, {"type": "null"}]
}
"""Told of, and not checked as such: to an id that is none the answer says where one is found."""


class PageQuery(Schema):
    """A part of a list."""

    limit: int = Field(default=20, ge=1, le=100, description="How many at most.")
    after: str | None = Field(
        default=None,
        max_length=100,
        description="The last id of the page before.",
        json_schema_extra=CURSOR,
    )


class Nothing(Schema):
    """No parameters."""


NoQuery = Annotated[Nothing, Query()]


def parsed(schema: type[S], place: Literal["path", "query"], values: Mapping[str, str]) -> S:
    """The parameters of a plain route, as FastAPI parses those of its own.

    Args:
        place: where they stand, for the errors.
        values: of a query in which a name comes several times, the last one counts.

    Raises:
        RequestValidationError: they do not hold.
    """
    try:
        return schema.model_validate(dict(values))
    except ValidationError as error:
        found = error.errors(include_url=False)
        raise RequestValidationError(
            [{**one, "loc": (place, *one["loc"])} for one in found]
        ) from None
