"""Predictions from a real server, over real sockets: what a test client cannot show."""

import contextlib
import http.client
import json
import socket
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from huggingface_hub import InferenceClient
from huggingface_hub.errors import HfHubHTTPError
from torch import Tensor

from app.main import create_app
from app.predictions import hooks
from app.settings import Settings
from tests.app.listening import listening
from tests.app.predictions.clips import BAD, good_wav
from tests.app.state import state
from tests.conftest import MakeKey

Hook = Callable[..., Tensor]
PATIENCE = 60.0
REQUEST = "POST /v1/predict HTTP/1.1\r\nHost: localhost\r\n"


@pytest.fixture
def settings(settings: Settings, starters: Path) -> Settings:
    """The starters tiny-a and tiny-b; three places, and time enough."""
    changes = {"default_model": "tiny-a", "predict_queue": 3, "predict_timeout_seconds": PATIENCE}
    return settings.model_copy(update=changes)


@dataclass(frozen=True)
class Served:
    """A server that runs in a thread."""

    app: Any
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def predict(self, body: bytes | None = None) -> tuple[int, dict[str, str], Any]:
        """Status, headers and JSON of one prediction."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        with contextlib.closing(connection):
            headers = {"Content-Type": "audio/wav"}
            content = good_wav() if body is None else body
            connection.request("POST", "/v1/predict", content, headers)
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), json.loads(answer.read())

    def begin(self) -> socket.socket:
        """Ask for a prediction without waiting for it."""
        body = good_wav()
        head = (
            f"POST /v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        connection = socket.create_connection(("127.0.0.1", self.port))
        connection.sendall(head.encode() + body)
        return connection

    def metrics(self) -> str:
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=20) as answer:
            text: str = answer.read().decode()
        return text

    def under_way(self) -> int:
        requests: int = state(self.app).predictions.admission.requests
        return requests

    def have_patience(self, seconds: float) -> None:
        """From now on a prediction may take so long."""
        predictions = state(self.app).predictions
        changes = {"predict_timeout_seconds": seconds}
        predictions._settings = predictions._settings.model_copy(update=changes)

    def listens(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port)):
                return True
        except ConnectionError:
            return False


@pytest.fixture
def served(settings: Settings) -> Iterator[Served]:
    """A server on a free port."""
    app = create_app(settings)
    with listening(app, settings) as port:
        yield Served(app, port)


class Gate:
    """Holds the network until it is opened."""

    def __init__(self, predict: Hook) -> None:
        self._predict = predict
        self._open = threading.Event()
        self.entered = 0

    def __call__(self, *args: Any, **options: Any) -> Tensor:
        self.entered += 1
        assert self._open.wait(20)
        return self._predict(*args, **options)

    def open(self) -> None:
        self._open.set()


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gate]:
    """A closed gate before the network; open at the end in any case."""
    gate = Gate(hooks.predict)
    monkeypatch.setattr(hooks, "predict", gate)
    yield gate
    gate.open()


def until(holds: Callable[[], bool], seconds: float = 20) -> None:
    """Return when it holds."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.01)


class TestInferenceClient:
    """Hugging Face's own client, unmodified."""

    def test_bytes(self, served: Served) -> None:
        client = InferenceClient(base_url=f"{served.url}/hf/tiny-a")
        found = client.audio_classification(good_wav())
        _, _, ours = served.predict()
        assert [{"label": one.label, "score": one.score} for one in found] == ours["scores"]

    def test_a_file(self, served: Served, tmp_path: Path) -> None:
        path = tmp_path / "clip.wav"
        path.write_bytes(good_wav())
        client = InferenceClient()
        found = client.audio_classification(path, model=f"{served.url}/hf/tiny-b")
        assert len(found) == 3

    def test_top_k(self, served: Served) -> None:
        client = InferenceClient(base_url=f"{served.url}/hf/tiny-a")
        everything = client.audio_classification(good_wav())
        found = client.audio_classification(good_wav(), top_k=2, function_to_apply="softmax")
        assert found == everything[:2]

    def test_a_key(self, served: Served, make_key: MakeKey) -> None:
        key = make_key("predict")
        base_url = f"{served.url}/hf/tiny-a"
        assert InferenceClient(base_url=base_url, token=key.token).audio_classification(good_wav())
        with pytest.raises(HfHubHTTPError, match=r"(?s)401.*holds no valid API key"):
            InferenceClient(base_url=base_url, token="sk_wrong").audio_classification(good_wav())

    def test_bad_audio(self, served: Served) -> None:
        client = InferenceClient(base_url=f"{served.url}/hf/tiny-a")
        with pytest.raises(HfHubHTTPError, match=r"(?s)422.*The clip is silent\. Check"):
            client.audio_classification(BAD["silence"][0])

    def test_an_unknown_model(self, served: Served) -> None:
        client = InferenceClient(base_url=f"{served.url}/hf/tiny-z")
        with pytest.raises(HfHubHTTPError, match=r"(?s)404.*There is no model 'tiny-z'"):
            client.audio_classification(good_wav())


class TestLoad:
    def test_one_more_than_there_are_places_is_429_and_later_it_works(
        self, served: Served, gate: Gate
    ) -> None:
        waiting = [served.begin() for _ in range(3)]
        until(lambda: served.under_way() == 3)
        status, headers, problem = served.predict()
        assert (status, problem["code"]) == (429, "queue_full")
        assert int(headers["retry-after"]) > 0
        gate.open()
        for connection in waiting:
            assert connection.recv(100).startswith(b"HTTP/1.1 200")
            connection.close()
        until(lambda: served.under_way() == 0)
        assert served.predict()[0] == 200

    def test_bodies_that_would_fill_the_memory_are_429(self, served: Served, gate: Gate) -> None:
        state(served.app).predictions.admission._most_bytes = 2 * len(good_wav())
        waiting = [served.begin() for _ in range(2)]
        until(lambda: served.under_way() == 2)
        assert served.predict()[0] == 429
        gate.open()
        for connection in waiting:
            connection.recv(100)
            connection.close()
        until(lambda: served.under_way() == 0)
        assert served.predict()[0] == 200

    def test_one_that_takes_too_long_is_503(self, served: Served, gate: Gate) -> None:
        served.have_patience(0.5)
        status, headers, problem = served.predict()
        assert (status, problem["code"]) == (503, "predict_timeout")
        assert int(headers["retry-after"]) > 0
        gate.open()
        served.have_patience(PATIENCE)
        assert served.predict()[0] == 200

    def test_a_body_that_does_not_come_is_408_and_its_place_is_free(
        self, served: Served, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        admission = state(served.app).predictions.admission
        take, taken = admission.take, list[int]()

        def noted(size: int) -> None:
            take(size)
            taken.append(size)

        monkeypatch.setattr(admission, "take", noted)
        served.have_patience(0.5)
        with socket.create_connection(("127.0.0.1", served.port)) as connection:
            connection.sendall(f"{REQUEST}Content-Length: 9\r\n\r\nRIFF".encode())
            assert connection.recv(100).startswith(b"HTTP/1.1 408")
        assert (taken, served.under_way()) == ([9], 0)

    def test_a_client_that_leaves_in_the_middle_of_its_body_frees_its_place(
        self, served: Served
    ) -> None:
        with socket.create_connection(("127.0.0.1", served.port)) as connection:
            connection.sendall(f"{REQUEST}Content-Length: 9\r\n\r\nRIFF".encode())
            until(lambda: served.under_way() == 1)
        until(lambda: served.under_way() == 0)
        until(lambda: 'route="/v1/predict",status="499"} 1.0' in served.metrics())

    def test_a_client_that_leaves_is_dropped_from_the_line(
        self, served: Served, gate: Gate
    ) -> None:
        first = served.begin()
        until(lambda: gate.entered == 1)
        second = served.begin()
        until(lambda: served.under_way() == 2)
        second.close()
        until(lambda: served.under_way() == 1)
        gate.open()
        assert first.recv(100).startswith(b"HTTP/1.1 200")
        first.close()
        assert served.predict()[0] == 200
        assert gate.entered == 2  # the first and the last: the second never got there

    def test_many_at_once_each_get_their_own(self, served: Served) -> None:
        state(served.app).predictions.admission._most = 100
        clips = [good_wav(0.3 + 0.05 * n, seed=n) for n in range(24)]
        alone = [served.predict(clip)[2]["scores"] for clip in clips]
        with ThreadPoolExecutor(12) as pool:
            together = [answer[2]["scores"] for answer in pool.map(served.predict, clips)]
        for one, other in zip(alone, together, strict=True):
            assert [score["label"] for score in one] == [score["label"] for score in other]
            scores = [score["score"] for score in one]
            assert scores == pytest.approx([score["score"] for score in other], abs=1e-6)

    def test_good_and_bad_at_once(self, served: Served) -> None:
        state(served.app).predictions.admission._most = 100
        wanted = [(good_wav(seed=n), 200) for n in range(10)]
        wanted += [(body, status) for body, status, _ in BAD.values()]
        with ThreadPoolExecutor(9) as pool:
            found = [answer[0] for answer in pool.map(served.predict, [b for b, _ in wanted])]
        assert found == [status for _, status in wanted]


class TestEnd:
    def test_a_stopping_server_answers_what_it_accepted(
        self, settings: Settings, gate: Gate
    ) -> None:
        app = create_app(settings)
        config = uvicorn.Config(app, port=0, log_config=None, lifespan="on")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run)
        thread.start()
        until(lambda: server.started)
        here = Served(app, server.servers[0].sockets[0].getsockname()[1])
        waiting = here.begin()
        until(lambda: gate.entered == 1)
        server.should_exit = True
        until(lambda: not here.listens())
        gate.open()
        assert waiting.recv(100).startswith(b"HTTP/1.1 200")
        waiting.close()
        thread.join(20)
        assert not thread.is_alive()

    def test_a_dead_inference_thread_is_not_ready(
        self, served: Served, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def die(*args: Any, **options: Any) -> Tensor:
            raise KeyboardInterrupt

        monkeypatch.setattr(hooks, "predict", die)
        status, _, problem = served.predict()
        assert (status, problem["code"]) == (503, "inference_down")
        connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=20)
        with contextlib.closing(connection):
            connection.request("GET", "/readyz")
            answer = connection.getresponse()
            problem = json.loads(answer.read())
        assert answer.status == 503
        assert "predictions" in problem["detail"]
