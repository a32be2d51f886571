"""What all resources have in common: unknown fields are refused, times are UTC, lists are pages."""

import json
import math
from datetime import UTC, datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    ValidationError,
)
from pydantic_core import InitErrorDetails, PydanticCustomError

MAX_METADATA = 16 * 1024  # bytes of JSON: notes for the client's own use, not a store

MAX_DEPTH = 20  # levels of it: deeper ones break recursive readers


class Schema(BaseModel):
    """Base of every request and resource. NaN and Infinity are refused wherever a float stands."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, from_attributes=True)


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


Timestamp = Annotated[
    datetime,
    PlainSerializer(_rfc3339, return_type=str, when_used="json"),
    Field(examples=["2026-03-01T12:00:00.000Z"]),
]
"""A moment, written as RFC 3339 in UTC with Z."""

UNSHOWABLE = (
    r"\x00-\x1f\x7f-\x9f"  # control characters
    "\u2028\u2029"  # ends of lines
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # they turn the direction of what follows
)
"""Inside the brackets of a regular expression: what makes a name look like another one."""

Name = Annotated[
    str,
    StringConstraints(
        strip_whitespace=True, min_length=1, max_length=100, pattern=f"^[^{UNSHOWABLE}]+$"
    ),
]
"""A human-readable name: one line of at most 100 characters, in the order in which they stand."""


def _depth(value: object) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(_depth, inner), default=0)


def _plain_json(value: dict[str, Any]) -> dict[str, Any]:
    try:
        text = json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:  # NaN, Infinity, a lone surrogate, a tower
        raise ValueError("must be plain JSON without NaN, Infinity or broken Unicode") from error
    if _depth(value) > MAX_DEPTH:
        raise ValueError(f"is nested more than {MAX_DEPTH} levels deep")
    if len(text) > MAX_METADATA:
        raise ValueError(f"is {len(text)} bytes of JSON; at most {MAX_METADATA} are kept")
    return value


Metadata = Annotated[dict[str, Any], AfterValidator(_plain_json)]
"""The client's own notes: returned as they came, never read."""


def finite(value: Any) -> Any:
    """``value`` with every NaN and Infinity replaced by None, which JSON can say."""
    match value:
        case float():
            return value if math.isfinite(value) else None
        case dict():
            return {key: finite(item) for key, item in value.items()}
        case list() | tuple():
            return [finite(item) for item in value]
        case _:
            return value


T = TypeVar("T")


def at(
    location: tuple[int | str, ...], kind: str, message: str, value: object = None
) -> ValidationError:
    """The refusal of something inside the value of a field, for a validator of that field to raise.

    Args:
        location: where, seen from the field.
        kind: stable name of the fault.
        message: why, and what would be right.
        value: what stands there.
    """
    fault = PydanticCustomError(kind, "{message}", {"message": message})
    details = InitErrorDetails(type=fault, loc=location, input=value)
    return ValidationError.from_exception_data("request", [details])


class Page(Schema, Generic[T]):
    """A part of a list, newest first; `after` takes the last id of the part before."""

    object: Literal["list"] = "list"
    data: list[T]
    has_more: bool
