"""ETags (RFC 9110): of jobs weak ones, made from the version of the row."""

from typing import Annotated

from app.http.listed_headers import listed

IfNoneMatch = Annotated[str | None, listed("If-None-Match")]
"""The tags that the client holds."""


def etag(version: int) -> str:
    """The tag of that version."""
    return f'W/"{version}"'


def unchanged(if_none_match: str | None, tag: str) -> bool:
    """Whether the client holds what ``tag`` names already. Compared weakly, as a GET's must be."""
    if if_none_match is None:
        return False
    held = {one.strip().removeprefix("W/") for one in if_none_match.split(",")}
    return "*" in held or tag.removeprefix("W/") in held
