"""The `Idempotency-Key` header: a submission sent twice makes one job."""

import re
from typing import Annotated

from fastapi import Depends, Header, Request

from app.errors import BadRequest, shown

_valid = re.compile(r"[\x21-\x7e]{1,255}").fullmatch  # no spaces: keys with one are our own


def _idempotency_key(
    value: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            description="1 to 255 printable ASCII characters without spaces, chosen by the client:"
            " a repeated submission with the same key and body answers the first one's job.",
            examples=["3f1c9d52-6a0e-4c1b-9a43-0b8f6d1f7a11"],
        ),
    ] = None,
) -> str | None:
    if value is not None and not _valid(value):
        raise BadRequest(
            f"The Idempotency-Key {shown(value)} is malformed: give 1 to 255 printable ASCII"
            " characters without spaces, such as a UUID.",
            code="idempotency_key_malformed",
        )
    return value


IdempotencyKey = Annotated[str | None, Depends(_idempotency_key)]
"""The request's idempotency key, checked, or None."""


def _refused(request: Request) -> None:
    if "idempotency-key" in request.headers:
        raise BadRequest(
            f"{request.method} {request.url.path} keeps no Idempotency-Key: sent twice, it makes"
            " two things. Leave the header out, and look into the list before you send it again.",
            code="idempotency_key_unsupported",
        )


NoIdempotencyKey = Annotated[None, Depends(_refused)]
"""For requests that make something and would make it twice: a key that had no effect would let
clients repeat them without a care."""
