"""HTTP on a connection: uvicorn's, with bounds on the head of a request, of which it has none.

A client that connects and says nothing, or begins a head and never ends it, would keep one of the
connections that there are (`app.settings.Settings.max_connections`) as long as it likes.
"""

from asyncio import BaseTransport, TimerHandle
from typing import Final, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

HEAD_SECONDS: Final = 60.0
"""From the connection, or from its first byte, to the last byte of the head."""
HEAD_BYTES: Final = 64 * 1024
"""Browsers and proxies send a few KiB, and proxies refuse more than 8 to 64 KiB themselves."""


class BoundedHead(HttpToolsProtocol):
    """Ends connections whose next head takes too long or grows too large."""

    _due: TimerHandle | None = None
    _begun = 0

    def connection_made(self, transport: BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]  # uvicorn narrows it
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_is_here()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
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
            self._expect_head()

    def on_headers_complete(self) -> None:
        self._head_is_here()
        super().on_headers_complete()

    def _expect_head(self) -> None:
        self._begun = 0
        self._due = self.loop.call_later(HEAD_SECONDS, self._late)

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
