"""What may stand in the query of a request. As everywhere, what is unknown is refused: a misspelt
filter must not answer with the unfiltered list.

Every route but those of `app.observability.health` takes one of these, or a Schema of its own.
"""

from typing import Annotated

from fastapi import Query
from pydantic import Field

from app.schemas import Schema


class PageQuery(Schema):
    """A part of a list."""

    limit: int = Field(default=20, ge=1, le=100, description="How many at most.")
    after: str | None = Field(
        default=None, max_length=100, description="The last id of the page before."
    )


class Nothing(Schema):
    """No parameters."""


NoQuery = Annotated[Nothing, Query()]
