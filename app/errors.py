"""What may go wrong, as seen from outside (RFC 9457 problem details).

ServalError            500
├── BadRequest         400  the request cannot be read
├── Unauthorized       401  no key, or not one of ours
├── Forbidden          403  the key may not do this
├── NotFound           404  it does not exist, or belongs to another key
├── NotAcceptable      406  not in a form that the client accepts
├── TooSlow            408  the body stopped coming, or trickles
├── Conflict           409  it contradicts the present state
├── Gone               410  it was there, and its time is over
├── TooLarge           413
├── UnsupportedMedia   415
├── RangeNotSatisfiable 416 see `app.http.downloads`
├── Invalid            422  it can be read, and does not hold
├── ClientGone         499  told to the log alone
├── TooMany            429  carries Retry-After
├── Unavailable        503  carries Retry-After
└── StorageFull        507  the disk of the data folder or of the database
"""

import math
import reprlib
from collections.abc import Mapping, Sequence
from typing import Self

from pydantic import BaseModel, Field

STORAGE_FULL = (
    "The disk of the data folder (SERVAL_DATA_DIR) or of the database is full: whoever runs the"
    " service must make room there."
)
SHOWN = 80  # characters of an offending value that are shown back


_brief = reprlib.Repr()  # at most six items of a list, three levels deep
_brief.maxstring = _brief.maxother = SHOWN


def shown(value: object) -> str:
    """``value`` as an error may show it: short, and safe in any encoding, whatever was sent."""
    text = _brief.repr(value).encode("ascii", "backslashreplace").decode("ascii")
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."


class FieldProblem(BaseModel):
    """One thing that does not hold."""

    field: str = Field(examples=["attacks.0.epsilon.1"])
    value: str | None = Field(default=None, examples=["-0.02"])
    message: str = Field(examples=["Input should be greater than or equal to 0"])
    remedy: str | None = Field(default=None, examples=["give a value of at least 0"])

    @classmethod
    def of(cls, field: str, value: object, message: str, remedy: str | None = None) -> Self:
        """What does not hold, with any value and message made safe to show."""
        text = message.encode("ascii", "backslashreplace").decode("ascii")
        return cls(field=field, value=shown(value), message=text, remedy=remedy)


class ServalError(Exception):
    """An error that the client is told about. Subclasses fix the status; callers say the rest."""

    status: int = 500
    code: str = "internal_error"
    title: str = "Internal error"

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        errors: Sequence[FieldProblem] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or type(self).code
        self.errors = list(errors)
        self.headers = dict(headers or {})


class BadRequest(ServalError):
    status, code, title = 400, "bad_request", "Bad request"


class Unauthorized(ServalError):
    status, code, title = 401, "unauthorized", "Unauthorized"

    def __init__(self, detail: str, *, code: str | None = None) -> None:
        super().__init__(detail, code=code, headers={"WWW-Authenticate": 'Bearer realm="serval"'})


class Forbidden(ServalError):
    status, code, title = 403, "forbidden", "Forbidden"


class NotFound(ServalError):
    status, code, title = 404, "not_found", "Not found"


class NotAcceptable(ServalError):
    status, code, title = 406, "not_acceptable", "Not acceptable"


class TooSlow(ServalError):
    status, code, title = 408, "too_slow", "Request timeout"

    def __init__(self, detail: str, *, code: str | None = None) -> None:
        super().__init__(detail, code=code, headers={"Connection": "close"})


class Conflict(ServalError):
    status, code, title = 409, "conflict", "Conflict"


class Gone(ServalError):
    status, code, title = 410, "gone", "Gone"


class TooLarge(ServalError):
    status, code, title = 413, "too_large", "Content too large"


class UnsupportedMedia(ServalError):
    status, code, title = 415, "unsupported_media_type", "Unsupported media type"


class Invalid(ServalError):
    status, code, title = 422, "invalid", "Invalid request"

    @classmethod
    def of(
        cls,
        field: str,
        value: object,
        message: str,
        remedy: str | None = None,
        *,
        code: str | None = None,
    ) -> Self:
        """That one field does not hold: its value, why, and what would."""
        problem = FieldProblem.of(field, value, message, remedy)
        advice = f": {remedy}" if remedy else ""
        told = f"{field} {problem.value}: {message.removesuffix('.')}{advice}."
        return cls(told, code=code, errors=[problem])


class ClientGone(ServalError):
    """Nobody waits for the answer any more. It is told to the log alone."""

    status, code, title = 499, "client_gone", "Client closed request"

    def __init__(self) -> None:
        super().__init__("The client went away before the answer was ready.")


class _RetryLater(ServalError):
    """An error that passes by itself."""

    def __init__(self, detail: str, *, code: str | None = None, retry_after: float = 1.0) -> None:
        super().__init__(
            detail, code=code, headers={"Retry-After": str(max(1, math.ceil(retry_after)))}
        )


class TooMany(_RetryLater):
    status, code, title = 429, "too_many_requests", "Too many requests"


class Unavailable(_RetryLater):
    status, code, title = 503, "unavailable", "Unavailable"


class StorageFull(ServalError):
    status, code, title = 507, "storage_full", "Insufficient storage"

    def __init__(self) -> None:
        super().__init__(STORAGE_FULL + " Nothing of this request was kept: send it again then.")
