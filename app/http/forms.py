"""Forms with large files: read to disk while they come, and never further than allowed.

FastAPI reads a form before it asks who sent it. Endpoints that take hundreds of megabytes read it
themselves, with `multipart`, once they know that the caller may and that there is room for it
(`app.access.quotas`).
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final, TypeVar

from fastapi import Request, UploadFile
from pydantic import ValidationError
from pydantic_core import from_json
from starlette.datastructures import FormData
from starlette.datastructures import UploadFile as StarletteFile
from starlette.types import Message

from app.errors import (
    BadRequest,
    Invalid,
    TooLarge,
    UnsupportedMedia,
    shown,
)
from app.http.problems import body_too_large, invalid
from app.schemas import Schema

# What a route declares as its `max_body_size`, for `multipart` to hold it to the setting.
ANY_SIZE: Final = 2**50
MAX_FIELD_BYTES: Final = 1024 * 1024

S = TypeVar("S", bound=Schema)


@asynccontextmanager
async def multipart(
    request: Request, *, most_bytes: int, most_files: int = 1, most_fields: int = 1
) -> AsyncIterator[FormData]:
    """The request's form. Files of more than a megabyte are on disk; they are gone at the end.

    Args:
        most_bytes: of the whole body.
        most_files: parts that are files.
        most_fields: parts that are text, each of at most a megabyte.

    Raises:
        UnsupportedMedia: it is not multipart/form-data.
        TooLarge: the body is larger; of one without a length, so much of it is read.
        BadRequest: the form is malformed.
    """
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != "multipart/form-data":
        raise UnsupportedMedia(
            f"The Content-Type is {shown(kind)}; send multipart/form-data (curl does with -F)."
        )
    bounded = _bounded(request, most_bytes)
    async with bounded.form(
        max_files=most_files, max_fields=most_fields, max_part_size=MAX_FIELD_BYTES
    ) as form:
        yield form


def declared_length(request: Request) -> int | None:
    """Bytes of the body as its header says, or None if it does not say a number.

    Of a number too long to be true (int() refuses to read thousands of digits) its beginning.
    """
    declared = request.headers.get("content-length", "")
    return int(declared[:18]) if declared.isdecimal() else None


def _bounded(request: Request, most: int) -> Request:
    """The same request, whose body ends in an error after ``most`` bytes."""
    if (declared_length(request) or 0) > most:
        raise body_too_large(most)
    received = 0

    async def receive() -> Message:
        nonlocal received
        message = await request.receive()
        received += len(message.get("body", b""))
        if received > most:
            raise body_too_large(most)
        return message

    return Request(request.scope, receive)


def the_file(form: FormData, name: str = "file") -> UploadFile:
    """The form's only file.

    Raises:
        Invalid: it is absent, there are several, or it is not sent as a file.
    """
    found = _only(form, name)
    if not isinstance(found, StarletteFile):
        what = "is text, without a file name" if isinstance(found, str) else "is absent"
        raise Invalid(
            f"The form's part {name!r} {what}. Send the file as {name} (curl: -F {name}=@PATH).",
            code="file_missing",
        )
    return UploadFile(found.file, size=found.size, filename=found.filename, headers=found.headers)


def _only(form: FormData, name: str) -> StarletteFile | str | None:
    """The form's one part of that name, or None.

    Raises:
        Invalid: there are several.
    """
    found = form.getlist(name)
    if len(found) > 1:
        raise Invalid(
            f"The form has {len(found)} parts {name!r}. Send one.",
            code="part_repeated",
        )
    return found[0] if found else None


async def the_text(form: FormData, name: str) -> bytes | None:
    """The form's part, or None if it is absent.

    It may come with a file name: browsers give one ("blob") to every part that has a Content-Type
    of its own, which OpenAPI asks of JSON parts.

    Raises:
        Invalid: there are several.
        TooLarge: it has more than a megabyte.
    """
    found = _only(form, name)
    if found is None or isinstance(found, str):
        return None if found is None else found.encode()
    content = await found.read(MAX_FIELD_BYTES + 1)
    if len(content) > MAX_FIELD_BYTES:
        raise TooLarge(f"The form's part {name!r} is larger than {MAX_FIELD_BYTES} bytes.")
    return content


async def the_request(form: FormData, schema: type[S], name: str = "request") -> S:
    """The form's JSON part, as an instance of ``schema``.

    Raises:
        Invalid: it is absent or does not hold.
        TooLarge: it has more than a megabyte.
        BadRequest: it is not JSON.
    """
    found = await the_text(form, name)
    if found is None:
        raise Invalid(
            f"The form's part {name!r} is absent. Send it as JSON (curl: -F {name}='{{…}}').",
            code="request_missing",
        )
    try:
        value = from_json(found)
    except ValueError as error:
        raise BadRequest(
            f"The form's part {name!r} is not JSON: {error}.", code="malformed_json"
        ) from None
    try:
        return schema.model_validate(value)
    except ValidationError as error:
        raise invalid(list(error.errors()), what=f"The form's part {name!r}") from None


def no_others(form: FormData, *names: str) -> None:
    """Refuse parts that nobody reads.

    Raises:
        Invalid: naming the first.
    """
    unknown = [name for name in form if name not in names]
    if unknown:
        raise Invalid(
            f"The form has an unknown part {shown(unknown[0])}; it may have {', '.join(names)}.",
            code="unknown_field",
        )
