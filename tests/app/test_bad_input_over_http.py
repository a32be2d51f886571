"""Bad input over real sockets: a clear problem document, and then the next good request works."""

import contextlib
import http.client
import json
import select
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest

from app.main import create_app
from app.settings import Settings
from tests.app.listening import listening
from tests.app.predictions.clips import BAD, good_wav

LIMIT = 60_000  # bytes of every kind of body; the good clip has 16,044
PIECE = 100
FORM = "multipart/form-data; boundary=x"
FILE = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
WEIGHTS = FILE.replace(b'"file"', b'"weights"')

CHUNKED = {
    "a clip": ("/v1/predict", "audio/wav", good_wav()[:44]),
    "a clip in a form": ("/v1/predict", FORM, FILE),
    "a clip for Hugging Face": ("/hf/tiny-a", "audio/wav", good_wav()[:44]),
    "a clip as base64": ("/hf/tiny-a", "application/json", b'{"inputs": "'),
    "a corpus": ("/v1/corpora", FORM, FILE),
    "weights": ("/v1/models", FORM, WEIGHTS),
    "an audit": ("/v1/audits", "application/json", b'{"model": "'),
    "an audit of clips": ("/v1/audits", FORM, FILE),
    "a training": ("/v1/trainings", "application/json", b'{"corpus": "'),
}
"""Where it is sent, as what, and how it begins."""


@dataclass(frozen=True)
class Answer:
    """What the server said, and how much of the body it took before."""

    status: int
    kind: str | None
    body: dict[str, Any]
    sent: int


@dataclass(frozen=True)
class Server:
    """A service that runs in a thread, on a port of its own."""

    port: int
    data: Path

    def post(self, path: str, body: bytes, kind: str) -> Answer:
        """Send a body in one piece, with its length."""
        with self._connection() as connection:
            connection.request("POST", path, body, {"Content-Type": kind})
            return self._answer(connection, len(body))

    def post_chunked(self, path: str, pieces: Iterable[bytes], kind: str) -> Answer:
        """Send a body without a length, one chunk after another, until the server answers."""
        sent = 0
        with self._connection() as connection:
            connection.putrequest("POST", path)
            connection.putheader("Content-Type", kind)
            connection.putheader("Transfer-Encoding", "chunked")
            connection.endheaders()
            with contextlib.suppress(ConnectionError):  # it has answered and hung up
                for piece in pieces:
                    if select.select([connection.sock], [], [], 0)[0]:
                        break
                    connection.send(b"%x\r\n%b\r\n" % (len(piece), piece))
                    sent += len(piece)
                else:
                    connection.send(b"0\r\n\r\n")
            return self._answer(connection, sent)

    def predict(self) -> int:
        """The status of a good prediction."""
        return self.post("/v1/predict", good_wav(), "audio/wav").status

    def left(self) -> list[str]:
        """What lies in the folders of files."""
        return [
            path.name for name in self.data.iterdir() if name.is_dir() for path in name.iterdir()
        ]

    def _connection(self) -> contextlib.closing[http.client.HTTPConnection]:
        return contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=20))

    def _answer(self, connection: http.client.HTTPConnection, sent: int) -> Answer:
        found = connection.getresponse()
        return Answer(found.status, found.getheader("content-type"), json.loads(found.read()), sent)


@pytest.fixture
def server(settings: Settings, starters: Path) -> Iterator[Server]:
    """The service with the starter tiny-a and low limits, behind uvicorn on a free port."""
    limits = ("json", "predict", "audit", "model", "corpus")
    changes: dict[str, Any] = {f"max_{name}_bytes": LIMIT for name in limits}
    limited = settings.model_copy(update=changes | {"default_model": "tiny-a"})
    with listening(create_app(limited), limited) as port:
        yield Server(port, settings.data_dir)


class TestABodyOverTheLimit:
    @pytest.mark.parametrize(("path", "kind", "head"), CHUNKED.values(), ids=CHUNKED)
    def test_a_body_in_many_small_chunks_is_413_and_not_read_to_its_end(
        self, server: Server, path: str, kind: str, head: bytes
    ) -> None:
        endless = 500 * LIMIT  # much more than the buffers of both sockets hold
        pieces = (head, *repeat(b"A" * PIECE, endless // PIECE))
        answer = server.post_chunked(path, pieces, kind)
        assert (answer.status, answer.kind) == (413, "application/problem+json")
        assert answer.body["code"] == "too_large"
        assert answer.body["instance"] == path
        assert answer.sent < endless / 2
        assert server.left() == []
        assert server.predict() == 200

    @pytest.mark.parametrize(("path", "kind", "head"), CHUNKED.values(), ids=CHUNKED)
    def test_a_body_of_a_declared_length_is_413_too(
        self, server: Server, path: str, kind: str, head: bytes
    ) -> None:
        answer = server.post(path, head + b"A" * (2 * LIMIT), kind)
        assert (answer.status, answer.kind) == (413, "application/problem+json")
        assert answer.body["code"] == "too_large"
        assert server.left() == []
        assert server.predict() == 200

    def test_a_good_clip_in_many_small_chunks_is_predicted(self, server: Server) -> None:
        clip = good_wav()
        pieces = [clip[at : at + PIECE] for at in range(0, len(clip), PIECE)]
        assert server.post_chunked("/v1/predict", pieces, "audio/wav").status == 200


class TestABadClip:
    def test_each_kind_is_refused_with_its_reason_and_a_good_one_works_after_it(
        self, server: Server
    ) -> None:
        for name, (clip, status, code) in BAD.items():
            if len(clip) > LIMIT:
                continue
            answer = server.post("/v1/predict", clip, "audio/wav")
            assert (answer.status, answer.body["code"]) == (status, code), name
            assert answer.kind == "application/problem+json", name
            assert server.predict() == 200, name
