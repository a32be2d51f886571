"""What an erasure answers."""

from typing import Literal

from pydantic import Field

from app.erasure.service import Erased
from app.schemas import Schema


class Counts(Schema):
    """How many of each kind."""

    jobs: int = Field(examples=[12])
    corpora: int = Field(examples=[1])
    models: int = Field(examples=[2])


class Erasure(Schema):
    """What was deleted."""

    object: Literal["erasure"] = "erasure"
    key: str = Field(examples=["key_01K9ZQ3W8M4V7T2X6B5N0C1DEF"])
    deleted: Counts
    bytes: int = Field(description="Of the files that went.", examples=[734003200])
    left: Counts = Field(
        description="What could not go yet: a worker has not stopped, or there was no time. The"
        " same request once more goes on."
    )
    complete: bool = Field(description="Whether nothing is left.")

    @classmethod
    def of(cls, key: str, done: Erased) -> "Erasure":
        """The answer for what was done."""
        return cls(
            key=key,
            deleted=Counts(**done.counts),
            bytes=done.bytes,
            left=Counts(**done.left),
            complete=not any(done.left.values()),
        )
