"""HTTP on a connection: uvicorn's, with bounds on what uvicorn leaves open.

It bounds neither the head of a request, in time or size, nor who is connected: its own limit
answers 503 to everybody, those included that were there before, while silent ones hold it.
"""

from asyncio import BaseTransport, TimerHandle
from typing import ClassVar, Final, cast

from starlette.responses import PlainTextResponse
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from app.server.connections import Connections

HEAD_SECONDS: Final = 60.0
"""From a head's first byte to its last."""
HEAD_BYTES: Final = 64 * 1024
"""Browsers and proxies send a few KiB, and proxies refuse more than 8 to 64 KiB themselves."""
PROBES: Final = frozenset({b"/healthz", b"/readyz", b"/metrics"})
BUSY: Final = PlainTextResponse(
    "Service Unavailable: all connections are in use. Send the request again in a second.",
    status_code=503,
    headers={"Retry-After": "1", "Connection": "close"},
)


class BoundedHttp(HttpToolsProtocol):
    """Ends connections that nobody uses, if there are too many of them, and those whose next head
    takes too long or grows too large."""

    among: ClassVar[Connections]
    first_byte_seconds: ClassVar[float]

    _due: TimerHandle | None = None
    _begun = 0
    _probes_only = False

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]  # uvicorn narrows it
        self._probes_only = not self.among.join(self, self.client[0] if self.client else None)
        if self.among.crowded:
            self.hang_up()
        else:
            self._expect_head(self.first_byte_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        self.among.leave(self)
        self._head_is_here()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._due is not None and not self._begun:
            self._head_is_here()
            self._expect_head(HEAD_SECONDS)
        expected = self._due
        super().data_received(data)
        if self._due is not None:
            # Of data in which another request ended, nobody says how much is of this head.
            self._begun += len(data) if self._due is expected else 1
            if self._begun > HEAD_BYTES:
                self._refuse(b"431 Request Header Fields Too Large")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._due is None:  # the first one of a connection is expected already
            self._expect_head(HEAD_SECONDS)

    def on_headers_complete(self) -> None:
        self._head_is_here()
        self.among.busy(self)
        if self._probes_only and self.url.partition(b"?")[0] not in PROBES:
            self.app = BUSY
        super().on_headers_complete()
        if self._probes_only:
            self.cycle.keep_alive = False

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle.response_complete:  # else another request waited behind this one
            self.among.rests(self)

    def hang_up(self) -> None:
        """Close the connection, on which no request is under way."""
        self._head_is_here()
        self.transport.close()

    def _expect_head(self, seconds: float) -> None:
        self._begun = 0
        self._due = self.loop.call_later(seconds, self._late)

    def _head_is_here(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def _late(self) -> None:
        if self._begun:
            self._refuse(b"408 Request Timeout")
        else:
            self.transport.close()

    def _refuse(self, status: bytes) -> None:
        """In plain text, as uvicorn refuses what is no HTTP; after an answer that is under way, the
        end of the connection says it all."""
        self._head_is_here()
        cycle = cast("RequestResponseCycle | None", self.cycle)
        answering = cycle is not None and not cycle.response_complete
        if not answering and not self.transport.is_closing():
            self.transport.write(
                b"HTTP/1.1 %b\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\n"
                b"connection: close\r\n\r\n%b" % (status, len(status), status)
            )
        self.transport.close()


def protocol(among: Connections, first_byte_seconds: float) -> type[BoundedHttp]:
    """The protocol of one server, whose connections are counted together.

    Args:
        among: of that server alone.
        first_byte_seconds: how long a new connection may say nothing.
    """
    return type(
        "ServersHttp",
        (BoundedHttp,),
        {"among": among, "first_byte_seconds": first_byte_seconds},
    )
