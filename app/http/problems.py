"""Every error as `application/problem+json` (RFC 9457): the document, and the handlers for it."""

import json
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, cast

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from pydantic import BaseModel, Field
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.middleware.body_limit import MAX_BODY_SIZE_SCOPE_KEY
from starlette.routing import Match
from starlette.types import Scope

from app.errors import (
    BadRequest,
    Conflict,
    FieldProblem,
    Forbidden,
    Invalid,
    NotFound,
    ServalError,
    TooLarge,
    TooMany,
    Unauthorized,
    Unavailable,
    UnsupportedMedia,
    shown,
)
from app.http.headers import RETRY_AFTER
from app.persistence.database import is_away, why_away

log = structlog.get_logger("serval.problems")

MEDIA_TYPE = "application/problem+json"
HUGGING_FACE = "/hf/"
"""Where Hugging Face's clients ask. They show the members `error` and `errors` of an error's body,
and nothing else of it."""
DATABASE_RETRY_AFTER_SECONDS = 2  # a database server restarts in seconds
MOST_ERRORS = 20  # of one request that are listed: a body of 10,000 bad items needs no more


class Problem(BaseModel):
    """RFC 9457 problem details: the body of every error."""

    type: str = Field(examples=["urn:serval:problem:not_found"])
    title: str = Field(examples=["Not found"])
    status: int = Field(examples=[404])
    detail: str = Field(examples=["There is no model 'cnn5'. GET /v1/models lists them."])
    instance: str = Field(examples=["/v1/models/cnn5"])
    code: str = Field(examples=["not_found"])
    errors: list[FieldProblem] = Field(default_factory=list)
    error: str = Field(
        default="",
        description="`detail` once more, below /hf alone: Hugging Face's clients show this.",
    )
    request_id: str = Field(examples=["req_5f0c9b1d2e3a4f60"])


def document(error: ServalError, scope: Scope) -> bytes:
    """The problem document of ``error``. ASCII only, so no text in it can fail to encode."""
    instance = scope["path"]
    body = {
        "type": f"urn:serval:problem:{error.code}",
        "title": error.title,
        "status": error.status,
        "detail": error.detail,
        "instance": instance,
        "code": error.code,
        "errors": [one.model_dump() for one in error.errors],
        "request_id": scope.get("state", {}).get("request_id", ""),
    }
    if instance.removeprefix(scope.get("root_path", "")).startswith(HUGGING_FACE):
        body["error"] = error.detail
    return json.dumps(body).encode("ascii")


def answer(request: Request, error: ServalError) -> Response:
    """The response for ``error``."""
    content = document(error, request.scope)
    return Response(content, error.status, headers=error.headers, media_type=MEDIA_TYPE)


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """OpenAPI's description of the errors of an endpoint, for ``responses=``."""
    return {status: _of(status) for status in statuses}


def any_problem() -> dict[int | str, dict[str, Any]]:
    """OpenAPI's description of all the errors that an endpoint does not name."""
    return {"4XX": _described("Any other refusal")} | any_failure()


def any_failure() -> dict[int | str, dict[str, Any]]:
    """`any_problem` for endpoints that ask for nothing which could be wrong."""
    return {"5XX": _described("Any other failure")}


def _of(status: int) -> dict[str, Any]:
    described = _described(HTTPStatus(status).phrase)
    return described | {"headers": RETRY_AFTER} if status in {429, 503} else described


def _described(description: str) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {"description": description, "content": {MEDIA_TYPE: {"schema": schema}}}


REMEDIES = {
    "missing": "add it",
    "extra_forbidden": "remove it, or check its spelling: unknown fields are refused",
    "greater_than": "give a value greater than {gt}",
    "greater_than_equal": "give a value of at least {ge}",
    "less_than": "give a value less than {lt}",
    "less_than_equal": "give a value of at most {le}",
    "finite_number": "give a finite number, not NaN or Infinity",
    "literal_error": "give one of {expected}",
    "enum": "give one of {expected}",
    "bool_type": "give true or false",
    "float_type": "give a number",
    "int_type": "give a whole number",
    "list_type": "give a list",
    "dict_type": "give an object",
    "string_type": "give text",
    "union_tag_invalid": "give one of {expected_tags} as {discriminator}",
    "union_tag_not_found": "add {discriminator}",
    "too_long": "give at most {max_length} items",
    "too_short": "give at least {min_length} items",
    "string_too_long": "give at most {max_length} characters",
    "string_too_short": "give at least {min_length} characters",
    "string_pattern_mismatch": "give text that matches {pattern}",
}


def _remedy(error: Mapping[str, Any]) -> str | None:
    template = REMEDIES.get(error["type"])
    if template is None:
        return None
    known = {name: str(value) for name, value in error.get("ctx", {}).items()}
    try:
        return template.format_map(known)
    except KeyError:  # a pydantic that names its context otherwise
        return None


ADVICE = re.compile(r"(.+?): ((?:give|leave|choose|add|run) .+)", re.DOTALL)
"""A message of our own: what is wrong, and what would be right."""


def _field(location: Sequence[object]) -> str:
    """("body", "attacks", 0) as "attacks.0"; a header or a query keeps the name of its place."""
    parts = location[1:] if location[:1] == ("body",) else location
    return shown(".".join(str(part) for part in parts)).strip("'\"") or "body"


def field_problem(error: Mapping[str, Any]) -> FieldProblem:
    """One of pydantic's errors, in our words."""
    absent = error["type"] == "missing"
    message = error["msg"].removeprefix("Value error, ")
    ours = ADVICE.fullmatch(message)
    message, remedy = ours.groups() if ours is not None else (message, _remedy(error))
    return FieldProblem(
        field=_field(tuple(error["loc"])),
        value=None if absent else shown(error.get("input")),
        message=_ascii(message),
        remedy=None if remedy is None else _ascii(remedy),
    )


def _ascii(text: str) -> str:
    return text.encode("ascii", "backslashreplace").decode("ascii")


def invalid(errors: Sequence[Mapping[str, Any]], *, what: str = "The request") -> ServalError:
    """The error for what pydantic found, each field named with its value and a remedy."""
    if errors and errors[0]["type"] == "json_invalid":
        why = errors[0].get("ctx", {}).get("error", "it is not JSON")
        where = errors[0]["loc"][-1]
        return BadRequest(
            f"The body is not JSON: {why} at character {where}.", code="malformed_json"
        )
    found = [field_problem(error) for error in errors[:MOST_ERRORS]]
    first = found[0]
    more = f" ({len(errors) - 1} more in `errors`)" if len(errors) > 1 else ""
    value = "" if first.value is None else f" (got {first.value})"
    remedy = f": {first.remedy}" if first.remedy else ""
    return Invalid(
        f"{what} does not hold: {first.field}: {first.message}{value}{remedy}.{more}", errors=found
    )


HINTS = {
    404: "There is nothing at {path}. GET /openapi.json lists what there is.",
    405: "{path} does not answer {method}. The Allow header names what it answers.",
}

ERRORS = {
    error.status: error
    for error in (
        *(BadRequest, Unauthorized, Forbidden, NotFound, Conflict),
        *(TooLarge, UnsupportedMedia, Invalid, TooMany, Unavailable),
    )
}


def from_http(request: Request, http: HTTPException) -> ServalError:
    """An error of the framework as one of ours, keeping its status and headers."""
    phrase = HTTPStatus(http.status_code).phrase
    error = ServalError(_message(request, http), headers=http.headers)
    known = ERRORS.get(http.status_code)
    error.status = http.status_code
    error.title = known.title if known else phrase
    error.code = known.code if known else phrase.lower().replace(" ", "_").replace("-", "_")
    if http.status_code == 405:
        error.headers["Allow"] = ", ".join(_answered(request))
    return error


def _message(request: Request, http: HTTPException) -> str:
    """Our hint for the status, or what the framework says, as it stands: it may hold braces."""
    if http.status_code == 413:
        return over_limit_of_route(request.scope).detail
    hint = HINTS.get(http.status_code)
    if hint is None:
        return str(http.detail)
    return hint.format(path=shown(request.url.path), method=request.method)


def over_limit_of_route(scope: Scope) -> TooLarge:
    """The error for a body of more than the `max_body_size` of the route, which the framework
    refuses without naming it."""
    return body_too_large(scope[MAX_BODY_SIZE_SCOPE_KEY])


def body_too_large(most: int) -> TooLarge:
    """The error for a body of more than ``most`` bytes."""
    return TooLarge(f"The body is larger than the {most} bytes that this endpoint accepts.")


def _answered(request: Request) -> list[str]:
    """Every method that the path answers: the framework names only those of one of its routes."""
    methods = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
    routes = request.app.routes
    return [
        method
        for method in methods
        if any(
            route.matches({**request.scope, "method": method})[0] is Match.FULL for route in routes
        )
    ]


async def _serval_error(request: Request, error: Exception) -> Response:
    return answer(request, cast(ServalError, error))


async def _validation_error(request: Request, error: Exception) -> Response:
    errors = cast(RequestValidationError, error).errors()
    # A body that is not said to be JSON comes to pydantic as it is, and would be told to be a dict.
    if any(one["loc"] == ("body",) and isinstance(one["input"], bytes) for one in errors):
        return answer(request, _not_json(request))
    return answer(request, invalid(errors))


def _not_json(request: Request) -> UnsupportedMedia:
    kind = request.headers.get("content-type")
    said = "There is no Content-Type" if kind is None else f"The Content-Type is {shown(kind)}"
    return UnsupportedMedia(
        f"{said}; send JSON as application/json (curl: -H 'Content-Type: application/json')."
    )


async def _http_error(request: Request, error: Exception) -> Response:
    http = cast(HTTPException, error)
    if http.status_code in {204, 304}:
        return Response(status_code=http.status_code, headers=http.headers)
    return answer(request, from_http(request, http))


async def _database_error(request: Request, error: Exception) -> Response:
    """503 while the database is away. Its own words hold the statement: they are for the log."""
    if not is_away(error):
        raise error
    log.error("the database is away", error=str(error), path=request.url.path)
    away = Unavailable(
        f"The database {why_away(error)}. Send the same request again; where"
        " that would make a second job, with an Idempotency-Key.",
        code="database_unavailable",
        retry_after=DATABASE_RETRY_AFTER_SECONDS,
    )
    return answer(request, away)


def install(app: FastAPI) -> None:
    """Make every error that ``app`` can answer a problem document."""
    app.add_exception_handler(ServalError, _serval_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(DBAPIError, _database_error)
    app.add_exception_handler(PoolTimeout, _database_error)
