"""How slowly the body of a request may come: a client that trickles keeps memory and a connection.

The framework reads a body of JSON before it asks who sent it, and waits for the rest for ever.
"""

from typing import Final, cast

from anyio import current_time, fail_after
from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import TooSlow
from app.http import problems

# A client that sends nothing for so long is gone, or wants to occupy the place.
STALL_SECONDS: Final = 60.0
# A line of half a megabit, on which CREMA-D takes three hours. A client that is slower on average
# keeps a place for no good reason: at this rate the largest corpus (2 GiB) has it for nine hours.
LEAST_BYTES_PER_SECOND: Final = 64 * 1024
# How far behind that rate a body may fall: at its start, or while a line is down.
BEHIND_SECONDS: Final = 60.0


def install(app: FastAPI) -> None:
    """Answer 408 where a body comes too slowly, whoever reads it."""
    app.add_middleware(_Pace)
    app.add_exception_handler(_Ended, _answer)


class _Pace:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, _paced(receive) if scope["type"] == "http" else receive, send)


class _Ended(HTTPException):
    """Why the body was given up, as what the framework lets through: of anything else that ends its
    reading of JSON it makes a 400."""

    def __init__(self, why: TooSlow) -> None:
        super().__init__(why.status, why.detail)
        self.why = why


async def _answer(request: Request, error: Exception) -> Response:
    return problems.answer(request, cast(_Ended, error).why)


def _paced(receive: Receive) -> Receive:
    began = current_time()
    received, complete = 0, False

    async def paced() -> Message:
        nonlocal received, complete
        if complete:  # what follows is the end of the connection, which may take its time
            return await receive()
        due = began + BEHIND_SECONDS + received / LEAST_BYTES_PER_SECOND
        left = due - current_time()
        try:
            with fail_after(min(STALL_SECONDS, left)):
                message = await receive()
        except TimeoutError:
            raise _Ended(_too_slow(received, stalled=left > STALL_SECONDS)) from None
        received += len(message.get("body", b""))
        complete = not message.get("more_body", False)
        return message

    return paced


def _too_slow(received: int, *, stalled: bool) -> TooSlow:
    if stalled:
        return TooSlow(
            f"The body stopped coming for {STALL_SECONDS:g} s after {received} bytes."
            " Send the request again.",
            code="upload_stalled",
        )
    return TooSlow(
        f"The body comes too slowly: {received} bytes so far. It may fall {BEHIND_SECONDS:g} s"
        f" behind {LEAST_BYTES_PER_SECOND} bytes a second. Send it over a faster line.",
        code="upload_too_slow",
    )
