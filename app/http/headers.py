"""The headers of our answers, and answers with them, as the OpenAPI document tells of them."""

from collections.abc import Mapping
from typing import Any, Final

Headers = dict[str, dict[str, Any]]
Examples = Mapping[str, dict[str, Any]]
"""{name: {summary, value}}, as OpenAPI has them."""


def _header(name: str, description: str, example: str, type_: str = "string") -> Headers:
    return {name: {"description": description, "schema": {"type": type_}, "example": example}}


ETAG: Final = _header("ETag", "Changes with every change; for `If-None-Match`.", 'W/"7"')
PREFERENCE_APPLIED: Final = _header(
    "Preference-Applied", "The wait that was granted, if one was asked for.", "wait=30"
)
RETRY_AFTER: Final = _header(
    "Retry-After", "Seconds after which it is worth to ask again.", "2", "integer"
)

SIGNATURE: Final = _header(
    "Serval-Signature",
    "The detached signature of this answer, a JSON document in base64. Missing if the service's key"
    " cannot be had.",
    "eyJmb3JtYXQiOiAic2VydmFsLXNpZ25hdHVyZS0xIn0K",
)


def location(example: str) -> Headers:
    """Where the thing is that was made, such as ``example``."""
    return _header("Location", "Path of what was made.", example)


def answer(headers: Headers, examples: Examples | None = None, **more: Any) -> dict[str, Any]:
    """An answer for ``responses=``: its headers, and examples of its JSON.

    The examples are referred to; `app.openapi` puts them where that leads. FastAPI would leave the
    nulls out of them.
    """
    described = {"headers": headers, **more}
    if examples:
        named = {name: {"$ref": f"#/components/examples/{name}"} for name in examples}
        described["content"] = {"application/json": {"examples": named}}
    return described
