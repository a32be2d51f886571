"""What surrounds every request: its id, one line in the log, two metrics, and no naked error.

Pure ASGI, outermost of ours.
"""

import re
import secrets
import time
from asyncio import CancelledError

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.errors import ServalError, StorageFull, Unavailable
from app.http.problems import MEDIA_TYPE, document, over_limit_of_route
from app.observability import access_log
from app.observability.metrics import Metrics
from app.persistence.disk import is_full

log = structlog.get_logger("serval.request_context")
_acceptable = re.compile(rb"[A-Za-z0-9._-]{1,64}").fullmatch
STOPPING_RETRY_AFTER_SECONDS = 10  # the service is back by then, if it was a restart
CLIENT_GONE = 499  # as nginx has it: nobody waited for the answer


class RequestContext:
    """The middleware."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self.app = app
        self._metrics = metrics
        self._in_flight = 0
        metrics.in_flight.set_function(lambda: self._in_flight)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        request_id = _request_id(scope)
        scope.setdefault("state", {})["request_id"] = request_id
        reply = _Reply(scope, send, request_id)
        self._in_flight += 1
        try:
            await self.app(scope, receive, reply.send)
        except CancelledError:
            if reply.status is not None:
                raise  # the answer has begun: the server can only cut the connection
            await reply.problem(_stopping())
        except Exception as error:
            log.exception("request failed", request_id=request_id, path=scope["path"])
            if reply.status is not None:
                raise  # the answer has begun: the server can only cut the connection
            await reply.problem(_internal(error))
        finally:
            self._in_flight -= 1
            self._note(scope, reply.status or CLIENT_GONE, time.perf_counter() - began)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        route = getattr(scope.get("route"), "path", "-")  # its template, if it has one
        self._metrics.saw(scope["method"], route, status, seconds)
        access_log.write(
            method=scope["method"],
            path=scope["path"],
            status=status,
            seconds=seconds,
            request_id=scope["state"]["request_id"],
            key=scope["state"].get("key_id"),
        )


class _Reply:
    """Sends the answer on, with the headers that every answer has."""

    def __init__(self, scope: Scope, send: Send, request_id: str) -> None:
        self._scope = scope
        self._send = send
        self.request_id = request_id
        self.status: int | None = None
        self._replaced = False

    async def send(self, message: Message) -> None:
        if self._replaced:
            return
        if message["type"] == "http.response.start":
            if _is_bare_413(message):
                self._replaced = True
                await self.problem(over_limit_of_route(self._scope))
                return
            self.status = message["status"]
            root = self._scope.get("root_path", "").encode()
            message["headers"] = [
                *(_below(root, *header) for header in message["headers"]),
                *self._headers(),
            ]
        await self._send(message)

    async def problem(self, error: ServalError) -> None:
        """Answer ``error`` from out here, where no handler of the framework reaches."""
        body = document(error, self._scope)
        self.status = error.status
        headers = [
            (b"content-type", MEDIA_TYPE.encode()),
            (b"content-length", str(len(body)).encode()),
            *((name.lower().encode(), value.encode()) for name, value in error.headers.items()),
            *self._headers(),
        ]
        await self._send(
            {"type": "http.response.start", "status": error.status, "headers": headers}
        )
        await self._send({"type": "http.response.body", "body": body})

    def _headers(self) -> list[tuple[bytes, bytes]]:
        return [
            (b"x-request-id", self.request_id.encode()),
            (b"x-content-type-options", b"nosniff"),
        ]


def _below(root: bytes, name: bytes, value: bytes) -> tuple[bytes, bytes]:
    """The header; a Location as seen from outside, where a proxy serves all below ``root``."""
    return name, root + value if name == b"location" and value.startswith(b"/") else value


def _is_bare_413(message: Message) -> bool:
    """Whether this is the framework's own plain-text 413, sent where a length was declared."""
    if message["status"] != 413:
        return False
    return (b"content-type", MEDIA_TYPE.encode()) not in message["headers"]


def _internal(error: Exception) -> ServalError:
    if is_full(error):
        return StorageFull()
    return ServalError(
        f"Something went wrong in the service ({type(error).__name__}). It was logged under this"
        " request_id; the same request may well fail again."
    )


def _stopping() -> ServalError:
    """For a request that took longer than a stopping server waits. Nothing else cancels one: a
    client that goes away does not."""
    return Unavailable(
        "The service is being stopped and was not done with this request. Send it again; where that"
        " would make a second job, with an Idempotency-Key.",
        code="stopping",
        retry_after=STOPPING_RETRY_AFTER_SECONDS,
    )


def _request_id(scope: Scope) -> str:
    """The client's X-Request-ID if it is harmless, else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _acceptable(value):
            return str(value, "ascii")
    return f"req_{secrets.token_hex(8)}"
