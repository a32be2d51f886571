"""The head of a request is bounded in time and size, on real sockets."""

import contextlib
import json
import socket
import time
from collections.abc import Iterator

import pytest
from fastapi import FastAPI

from app.server.protocol import HEAD_BYTES
from app.settings import Settings
from tests.app.listening import listening

WHOLE = b"GET /healthz HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"


@pytest.fixture
def port(app: FastAPI, settings: Settings) -> Iterator[int]:
    with listening(app, settings) as port:
        yield port


@contextlib.contextmanager
def connected(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=50) as one:
        yield one


def everything(connection: socket.socket) -> bytes:
    """What comes until the server closes, or resets, which it does where it leaves bytes unread."""
    pieces = []
    with contextlib.suppress(ConnectionError):
        while piece := connection.recv(65536):
            pieces.append(piece)
    return b"".join(pieces)


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.server.protocol.HEAD_SECONDS", 0.5)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"first_byte_seconds": 0.5, "log_level": "warning"})


@pytest.fixture
def patient_with_heads(soon: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.server.protocol.HEAD_SECONDS", 30)


@pytest.mark.usefixtures("soon")
class TestTime:
    def test_a_client_that_says_nothing_is_hung_up_on(self, port: int) -> None:
        with connected(port) as silent:
            assert everything(silent) == b""

    @pytest.mark.usefixtures("patient_with_heads")
    def test_only_the_first_byte_is_awaited_so_briefly(self, port: int) -> None:
        with connected(port) as slow:
            slow.sendall(WHOLE[:30])
            time.sleep(1)  # longer than the first byte may take
            slow.sendall(WHOLE[30:])
            assert slow.recv(65536).startswith(b"HTTP/1.1 200 ")

    def test_one_that_does_not_end_its_head_is_told_so(self, port: int) -> None:
        with connected(port) as slow:
            slow.sendall(WHOLE[:30])
            assert everything(slow).startswith(b"HTTP/1.1 408 ")

    def test_a_later_request_that_does_not_end_its_head_is_told_so_too(self, port: int) -> None:
        with connected(port) as slow:
            slow.sendall(WHOLE)
            assert slow.recv(65536).startswith(b"HTTP/1.1 200 ")
            slow.sendall(WHOLE[:30])
            assert b"HTTP/1.1 408 " in everything(slow)

    def test_a_connection_that_rests_between_requests_is_kept(self, port: int) -> None:
        with connected(port) as patient:
            for _ in range(2):
                patient.sendall(WHOLE)
                assert patient.recv(65536).startswith(b"HTTP/1.1 200 ")
                time.sleep(1)  # longer than a head may take


class TestSize:
    @pytest.mark.parametrize("endless", [b"x-long: " + b"y" * 2 * HEAD_BYTES, b"x: y\r\n" * 40_000])
    def test_a_head_without_an_end_is_refused(self, port: int, endless: bytes) -> None:
        with connected(port) as large:
            with contextlib.suppress(ConnectionError):  # it may hang up before all is sent
                large.sendall(WHOLE[:-2] + endless)
            assert everything(large).startswith(b"HTTP/1.1 431 ")

    def test_a_body_is_no_part_of_it(self, port: int) -> None:
        with connected(port) as usual:
            body = b"x" * 4 * HEAD_BYTES
            head = b"POST /v1/predict HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: audio/wav\r\n"
            usual.sendall(head + b"content-length: %d\r\n\r\n" % len(body) + body)
            assert usual.recv(65536).startswith(b"HTTP/1.1 400 ")  # it is no WAV
            usual.sendall(WHOLE)
            assert usual.recv(65536).startswith(b"HTTP/1.1 200 ")

    def test_the_end_of_the_request_before_is_no_part_of_it(self, port: int) -> None:
        """Of a client that waits for no answer, in one piece with the next head's beginning."""
        with connected(port) as hasty:
            body = b"x" * 3 * HEAD_BYTES
            head = b"POST /v1/predict HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: audio/wav\r\n"
            hasty.sendall(head + b"content-length: %d\r\n\r\n" % len(body) + body + WHOLE[:30])
            assert hasty.recv(65536).startswith(b"HTTP/1.1 400 ")  # it is no WAV
            hasty.sendall(WHOLE[30:])
            assert hasty.recv(65536).startswith(b"HTTP/1.1 200 ")


class TestLog:
    def test_what_is_no_http_is_a_line_of_our_log(
        self, port: int, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with connected(port) as foreign:
            foreign.sendall(b"\x16\x03\x01 this is TLS\r\n\r\n")
            assert everything(foreign).startswith(b"HTTP/1.1 400 ")
        said = [line for line in capsys.readouterr().err.splitlines() if "Invalid HTTP" in line]
        assert [json.loads(line)["level"] for line in said] == ["warning"]
