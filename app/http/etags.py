"""ETags (RFC 9110): of jobs weak ones, made from the version of the row, and of when it expires,
which a setting may change."""

from datetime import datetime
from typing import Annotated

from app.http.listed_headers import listed

IfNoneMatch = Annotated[str | None, listed("If-None-Match")]
"""The tags that the client holds."""


def etag(version: int, *expiries: datetime | None) -> str:
    """The tag of that version."""
    parts = [str(version), *(f"{at.timestamp():.3f}" for at in expiries if at is not None)]
    return f'W/"{"-".join(parts)}"'


def unchanged(if_none_match: str | None, tag: str) -> bool:
    """Whether the client holds what ``tag`` names already. Compared weakly, as a GET's must be."""
    if if_none_match is None:
        return False
    held = {one.strip().removeprefix("W/") for one in if_none_match.split(",")}
    return "*" in held or tag.removeprefix("W/") in held
