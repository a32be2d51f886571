"""The API as a process: `serval serve`."""

import resource
import signal
import sys
import tempfile
from socket import socket as Socket
from types import FrameType
from typing import TYPE_CHECKING, Final

import structlog

from app.observability import logs
from app.processes import leave_in_time
from app.server.address import base_url
from app.server.listening import bind, require_key_beyond_loopback
from app.settings import Settings, make_data_dir

if TYPE_CHECKING:
    from fastapi import FastAPI
    from uvicorn import Config

log = structlog.get_logger("serval.server")

GRACE_SECONDS: Final = 5
"""From SIGTERM: how long requests may go on, but those that wait on a job. Then they are cancelled.
With `app.predictions.engine.DRAIN_SECONDS` this leaves 4 s of `app.processes.LEAVE_SECONDS`."""
FILES_OF_OTHERS: Final = 1024
"""Open files that are no client's connection: models, uploads, the database, Redis."""
KEEP_ALIVE_SECONDS: Final = 75  # longer than common proxies', so that it is they who hang up


def serve(settings: Settings) -> None:
    """Answer requests until SIGTERM or Ctrl-C.

    Raises:
        CannotListen: the address is used, or not safe while there is no API key.
        BadSetting: the data folder, the database or the device cannot be used.
    """
    from app.migrations import open_database

    with bind(settings.host, settings.port) as socket:
        open_database(settings).dispose()
        require_key_beyond_loopback(settings)
        _spool_uploads_to_disk(settings)
        port = socket.getsockname()[1]
        logs.configure(settings.log_level, settings.log_format)
        log.info("serving", url=base_url(settings.host, port))
        _run(settings, socket)


def _run(settings: Settings, socket: Socket) -> None:
    import uvicorn

    from app.jobs.events import WaitersState
    from app.main import create_app
    from app.state import state_of

    class Server(uvicorn.Server):
        """Ends all waits first: it hangs up on no request that is being answered."""

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            if not self.should_exit:
                leave_in_time()  # each request that is left by then was answered 503
            super().handle_exit(sig, frame)

        async def shutdown(self, sockets: list[Socket] | None = None) -> None:
            state_of(app, WaitersState).waiters.end()
            await super().shutdown(sockets)

    app = create_app(settings)
    server = Server(config(app, settings))
    _allow_files(2 * settings.max_connections + FILES_OF_OTHERS)
    # When it has ended, the server raises the signal again that ended it: an end in good order.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)
    server.run([socket])
    if not server.started:
        sys.exit(1)


def config(app: "FastAPI", settings: Settings) -> "Config":
    """How uvicorn is to serve the application."""
    import uvicorn

    from app.server.connections import Connections
    from app.server.protocol import protocol

    connections = Connections(settings.max_connections, settings.max_address_connections)
    return uvicorn.Config(
        app,
        loop="uvloop",
        http=protocol(connections, settings.first_byte_seconds),
        ws="none",
        lifespan="on",
        log_config=None,  # its lines go where all others do, see `app.observability.logs`
        log_level="warning",  # requests are logged by `app.observability.request_context`
        access_log=False,
        server_header=False,
        root_path=settings.root_path,
        proxy_headers=False,  # nothing here asks who is behind a proxy: see `app.access.auth`
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


def _allow_files(number: int) -> None:
    """Let this process have so many open files, as far as its user may: many systems begin with
    1,024, and a connection that finds none left cannot even be refused. A burst of newcomers takes
    as many again as there may be, before those that make room for it are gone."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = number if hard == resource.RLIM_INFINITY else min(number, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _spool_uploads_to_disk(settings: Settings) -> None:
    """Large parts of forms go to the data folder: /tmp is memory on many machines."""
    folder = make_data_dir(settings) / "staging"
    folder.mkdir(exist_ok=True)
    tempfile.tempdir = str(folder)
