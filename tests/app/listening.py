"""The application behind a real socket, served as `serval serve` configures it."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from app.server.serve import config
from app.settings import Settings


@contextmanager
def listening(app: FastAPI, settings: Settings) -> Iterator[int]:
    """Serve it in a thread; its port."""
    configured = config(app, settings)
    configured.port = 0
    server = uvicorn.Server(configured)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join(20)
    assert not thread.is_alive()
