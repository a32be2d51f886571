"""The server as `serval serve` configures it."""

import contextlib
import http.client
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread

import pytest
from fastapi import FastAPI

from app.main import create_app
from app.predictions.engine import DRAIN_SECONDS
from app.processes import LEAVE_SECONDS
from app.server.serve import GRACE_SECONDS
from app.settings import Settings
from tests.app.listening import listening
from tests.faults.stack import free_port, until

MOST = 100


@pytest.fixture
def few(settings: Settings) -> Settings:
    return settings.model_copy(update={"max_connections": MOST, "first_byte_seconds": 30})


@pytest.fixture
def app(few: Settings) -> FastAPI:
    return create_app(few)


@pytest.fixture
def port(app: FastAPI, few: Settings) -> Iterator[int]:
    """That of a server that takes so many connections."""
    with listening(app, few) as port:
        yield port


Connect = Callable[[], http.client.HTTPConnection]


@pytest.fixture
def connect(port: int) -> Iterator[Connect]:
    with contextlib.ExitStack() as opened:

        def connection() -> http.client.HTTPConnection:
            new = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
            return opened.enter_context(contextlib.closing(new))

        yield connection


def probe(connection: http.client.HTTPConnection) -> int:
    """Status of /healthz. The connection stays open, if the server lets it."""
    connection.request("GET", "/healthz")
    answer = connection.getresponse()
    answer.read()
    return answer.status


class TestSilentConnections:
    @pytest.fixture
    def flood(self, port: int) -> Iterator[Thread]:
        """A client that connects again and again, five times as often as there may be
        connections, and says nothing; it begins when it is started."""
        done = Event()

        def flood() -> None:
            with contextlib.ExitStack() as opened:
                for _ in range(5 * MOST):
                    address = ("127.0.0.1", port)
                    opened.enter_context(socket.create_connection(address, timeout=20))
                    if done.wait(0.001):
                        return

        flooding = Thread(target=flood)
        yield flooding
        done.set()
        flooding.join()

    def test_keep_nobody_out(self, flood: Thread, connect: Connect) -> None:
        """Neither who was there before them nor who comes while they are there."""
        before = [connect() for _ in range(3)]
        assert [probe(one) for one in before] == [200] * 3
        flood.start()
        while flood.is_alive():
            new = connect()
            assert [probe(one) for one in (*before, new)] == [200] * 4
            new.close()


class TestBusyConnections:
    @pytest.fixture
    def release(self, app: FastAPI, port: int) -> Iterator[Event]:
        """Ends the requests of /slow."""
        end = Event()

        def slow() -> str:
            end.wait(60)
            return "done"

        app.add_api_route("/slow", slow)
        yield end
        end.set()

    @pytest.fixture
    def busy(self, release: Event, connect: Connect) -> list[http.client.HTTPConnection]:
        """As many requests under way as there may be connections."""
        busy = [connect() for _ in range(MOST)]
        for one in busy:
            one.request("GET", "/slow")
        time.sleep(0.5)  # until the server has read them all
        return busy

    @pytest.mark.usefixtures("busy")
    def test_probes_come_through(self, connect: Connect) -> None:
        assert [probe(connect()) for _ in range(50)] == [200] * 50

    def test_anything_else_is_503_until_one_is_done(
        self, busy: list[http.client.HTTPConnection], release: Event, connect: Connect
    ) -> None:
        refused = connect()
        refused.request("GET", "/v1/models")
        answer = refused.getresponse()
        assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
        assert b"connections" in answer.read()
        release.set()
        assert [one.getresponse().status for one in busy] == [200] * MOST
        welcome = connect()
        welcome.request("GET", "/v1/models")
        assert welcome.getresponse().status == 200


REQUEST_THAT_HANGS = """
import sys, time
from pathlib import Path
from app import main, processes
from app.server import serve
from app.settings import Settings

serve.GRACE_SECONDS = 1
serve.leave_in_time = lambda: processes.leave_in_time(3.0)
create_app = main.create_app

def create_app_that_hangs(settings):
    app = create_app(settings)
    app.add_api_route("/hang", lambda: time.sleep(600))  # as a wait for PostgreSQL
    return app

main.create_app = create_app_that_hangs
serve.serve(Settings(data_dir=Path(sys.argv[1]), port=int(sys.argv[2]), device="cpu"))
"""


class TestTheEnd:
    def test_comes_in_time_with_status_0_though_a_thread_hangs(self, tmp_path: Path) -> None:
        port = free_port()
        command = [sys.executable, "-c", REQUEST_THAT_HANGS, str(tmp_path), str(port)]
        with subprocess.Popen(command) as server, contextlib.ExitStack() as opened:
            opened.callback(server.kill)
            address = ("127.0.0.1", port)
            client = until(lambda: connected(address), 60, "the API listens")
            with client:
                client.sendall(b"GET /hang HTTP/1.1\r\nHost: localhost\r\n\r\n")
                time.sleep(1)  # until the thread hangs
                began = time.monotonic()
                server.send_signal(signal.SIGTERM)
                assert client.recv(65536).startswith(b"HTTP/1.1 503 ")
                assert server.wait(30) == 0
            assert time.monotonic() - began < 15

    def test_is_within_15_seconds(self) -> None:
        assert GRACE_SECONDS + DRAIN_SECONDS < LEAVE_SECONDS < 15


def connected(address: tuple[str, int]) -> socket.socket | None:
    try:
        return socket.create_connection(address, timeout=20)
    except ConnectionRefusedError:
        return None
