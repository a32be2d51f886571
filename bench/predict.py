"""Predicting over HTTP: what the service costs beside the work itself.

A real server in a process of its own, real sockets, and the same work called directly, by turns.
"""

import asyncio
import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import psutil
import torch
import uvloop

from models.architectures import build
from models.audio import decode
from models.checkpoint import ModelConfig, weights_bytes
from models.features import LogMel, windows
from models.serving import served

ROOT = Path(__file__).resolve().parent.parent
CLIP = ROOT / "samples" / "synthetic_angry.wav"
LABELS = ("anger", "disgust", "fear", "happiness", "neutral", "sadness")
FRAMES = 187  # of the starter models
CLIENTS = 16
BATCHES = (1, 2, 4, 8, 16)
PAIRS = 5
TURNS = 400
BLOCK = 40  # of a client that does not pause: after a rest the first few are slow, on both sides
ROUNDS = 3
EACH = 40  # clips of a client in a round: with few, its beginning and end would count for much
REST = 0.02  # seconds; torch's threads spin for some milliseconds after their work


def measure() -> list[dict[str, Any]]:
    """The three figures; the first without a bar, for it is worth a tenth of a millisecond if our
    code is simple."""
    pairs = [measure_pair() for _ in range(PAIRS)]
    latencies, throughputs, memory = zip(*pairs, strict=True)
    latency, share, growth = middle(latencies), middle(throughputs), middle(memory)
    heard = front_ends()
    return [
        {
            "name": "predict over HTTP, one client, p50, against direct calls",
            "value": latency.ratio,
            "note": f"{1000 * latency.ours:.1f} ms against {1000 * latency.theirs:.1f} ms;"
            f" {spread(latencies)}",
        },
        {
            "name": f"throughput with {CLIENTS} clients against the best offline batch",
            "value": share.ratio,
            "bar": 0.90,
            "better": "higher",
            "note": f"{share.ours:.1f}/s against {share.theirs:.1f}/s {share.how};"
            f" {spread(throughputs)}",
        },
        {
            "name": "API resident memory after 1,000 predictions against after 100",
            "value": growth.ratio,
            "bar": 1.05,
            "better": "lower",
            "note": f"{growth.ours:.0f} MiB against {growth.theirs:.0f} MiB; {spread(memory)}",
        },
        {
            "name": "predict over HTTP, p50, logmel-2 against logmel-1",
            "value": heard.ratio,
            "bar": 1.10,
            "better": "lower",
            "note": f"{1000 * heard.ours:.1f} ms against {1000 * heard.theirs:.1f} ms, same clip,"
            " server and weights, by turns",
        },
    ]


@dataclass(frozen=True)
class Measured:
    """Ours against theirs. The ratio is that of neighbours in time, not of the two medians."""

    ratio: float
    ours: float
    theirs: float
    how: str = ""


def middle(measured: Sequence[Measured]) -> Measured:
    """The one with the median ratio, of an odd number."""
    return sorted(measured, key=lambda one: one.ratio)[len(measured) // 2]


def spread(measured: Sequence[Measured]) -> str:
    """From the least ratio to the largest."""
    ratios = [one.ratio for one in measured]
    return f"{min(ratios):.3f} to {max(ratios):.3f} in {len(ratios)} servers"


def measure_pair() -> tuple[Measured, Measured, Measured]:
    """Latency, throughput and memory of one server against one set of weights for direct calls.

    The network takes up to a tenth more or less time from server to server, for as long as it
    runs: where its memory lies is a matter of luck. So there are several pairs.
    """
    model = a_model()
    clip = CLIP.read_bytes()
    direct = Direct(model)
    with server() as (port, process):
        request = request_bytes(f"/v1/predict?model={upload(port, model)}", clip)
        check(Client(port, request).predict(), direct.predict([clip])[0])
        in_parallel([port], request, 100)
        early = process.memory_info().rss / 2**20
        in_parallel([port], request, 900)
        late = process.memory_info().rss / 2**20
        return (
            latency(Client(port, request), direct, clip),
            throughput(port, request, clip, direct),
            Measured(late / early, late, early),
        )


@dataclass(frozen=True)
class Model:
    """A CNN-4 of the starters' size. What it has learnt does not change its speed."""

    weights: bytes
    config: ModelConfig
    network: torch.nn.Module


def front_ends() -> Measured:
    """Predictions of one clip by the same weights behind either front end, by turns."""
    clip = CLIP.read_bytes()
    with server() as (port, _):
        new, old = (
            Client(port, request_bytes(f"/v1/predict?model={upload(port, a_model(name))}", clip))
            for name in ("logmel-2", "logmel-1")
        )
        taken: tuple[list[float], list[float]] = ([], [])
        for turn in range(TURNS + BLOCK):
            for client, seconds in zip((new, old), taken, strict=True):
                began = time.perf_counter()
                client.predict()
                if turn >= BLOCK:  # the first few are slow, of both
                    seconds.append(time.perf_counter() - began)
        return medians(*taken)


def a_model(front_end: str = "logmel-1") -> Model:
    """A model with random weights."""
    torch.manual_seed(0)
    net = build("cnn4", len(LABELS))
    config = ModelConfig(
        "cnn4",
        LABELS,
        mean=(-6.0,) * 64,
        std=(2.0,) * 64,
        frames=FRAMES,
        front_end=front_end,
    )
    return Model(weights_bytes(net), config, served(net, torch.device("cpu"), FRAMES))


class Direct:
    """Decode, features and network, called one after the other."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._log_mel = LogMel()
        self._standardizer = model.config.standardizer

    @torch.inference_mode()
    def predict(self, clips: list[bytes]) -> list[list[float]]:
        """Probabilities of clips of one window each."""
        x = torch.cat([self._features(clip) for clip in clips])
        probabilities: list[list[float]] = self._model.network(x).double().softmax(1).tolist()
        return probabilities

    def _features(self, clip: bytes) -> torch.Tensor:
        features = self._log_mel(torch.from_numpy(decode(clip).samples))
        return windows(self._standardizer(features), FRAMES)


class Client:
    """One client with one connection that it keeps; as bare as one can be, for it has the same two
    cores as the server."""

    def __init__(self, port: int, request: bytes) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._request = request

    def predict(self) -> bytes:
        """Send the clip; the answer's body."""
        self._socket.sendall(self._request)
        answer = b""
        while (body := body_of(answer)) is None:
            data = self._socket.recv(65_536)
            if not data:
                raise RuntimeError("the service closed the connection")
            answer += data
        return body


def latency(client: Client, direct: Direct, clip: bytes) -> Measured:
    """Seconds of a prediction over HTTP and called directly.

    The ratio is the median of those of neighbouring blocks: a machine that is shared is now faster
    and now slower, for seconds.
    """
    ours: list[float] = []
    theirs: list[float] = []
    for _ in range(TURNS // BLOCK):
        theirs.append(
            statistics.median(timed(lambda: direct.predict([clip])) for _ in range(BLOCK))
        )
        time.sleep(REST)
        ours.append(statistics.median(timed(client.predict) for _ in range(BLOCK)))
        time.sleep(REST)
    return medians(ours, theirs)


def medians(ours: list[float], theirs: list[float], how: str = "") -> Measured:
    """The medians of both sides, and of the ratios of neighbours."""
    ratio = statistics.median(one / other for one, other in zip(ours, theirs, strict=True))
    return Measured(ratio, statistics.median(ours), statistics.median(theirs), how)


def throughput(port: int, request: bytes, clip: bytes, direct: Direct) -> Measured:
    """Clips a second over HTTP and directly in batches of the best size.

    Rounds of as many clips on both sides, by turns.
    """
    count = EACH * CLIENTS
    size = min(BATCHES, key=lambda size: offline(direct, clip, size, count // 2))
    over_http, directly = [], []
    for _ in range(ROUNDS):
        over_http.append(count / timed(lambda: in_parallel([port], request, count)))
        directly.append(count / offline(direct, clip, size, count))
        time.sleep(REST)
    return medians(over_http, directly, f"in batches of {size}")


def offline(direct: Direct, clip: bytes, size: int, count: int) -> float:
    """Seconds of so many clips in batches of ``size``."""
    return timed(lambda: [direct.predict([clip] * size) for _ in range(count // size)])


def in_parallel(ports: Sequence[int], request: bytes, count: int) -> None:
    """At least ``count`` predictions by 16 clients at one time, all in one thread: they have the
    same cores as the server, and should need little of them. Each keeps to one of the ports."""

    async def run() -> None:
        clients = [Repeating(request, -(-count // CLIENTS)) for _ in range(CLIENTS)]
        for number, client in enumerate(clients):
            await client.connect(ports[number % len(ports)])
        await asyncio.gather(*(client.done for client in clients))

    uvloop.run(run())


class Repeating(asyncio.Protocol):
    """A client that asks again as soon as it has its answer, so many times."""

    def __init__(self, request: bytes, times: int) -> None:
        self.done = asyncio.get_running_loop().create_future()
        self._request = request
        self._left = times
        self._answer = b""

    async def connect(self, port: int) -> None:
        """Begin to ask."""
        await asyncio.get_running_loop().create_connection(lambda: self, "127.0.0.1", port)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._answer += data
        body = body_of(self._answer)
        if body is None:
            return
        self._answer = b""
        self._left -= 1
        if self._left:
            self._transport.write(self._request)
        else:
            self._transport.close()
            self.done.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error or RuntimeError("the service closed the connection"))


def request_bytes(path: str, body: bytes, kind: str = "audio/wav") -> bytes:
    """A request to predict, as it goes over the wire."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def body_of(answer: bytes) -> bytes | None:
    """The body of a good answer; None while it is not all there."""
    head, end, body = answer.partition(b"\r\n\r\n")
    if not end:
        return None
    if not head.startswith(b"HTTP/1.1 200 "):
        raise RuntimeError(f"the service answered {answer[:500]!r}")
    length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
    return body if len(body) >= length else None


def timed(work: Callable[[], object]) -> float:
    """Seconds that ``work`` takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def check(answer: bytes, probabilities: list[float]) -> None:
    """Both sides must say the same."""
    prediction = json.loads(answer)
    by_label = {score["label"]: score["score"] for score in prediction["scores"]}
    worst = max(abs(by_label[label] - p) for label, p in zip(LABELS, probabilities, strict=True))
    if worst > 1e-4:
        raise RuntimeError(f"the service and the direct calls differ by {worst}")


def free_port() -> int:
    """One that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@contextmanager
def server(data_dir: Path | None = None) -> Iterator[tuple[int, psutil.Process]]:
    """A server as it is served: its port and its process.

    Args:
        data_dir: which it shares with others; one of its own if None.
    """
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        command = [sys.executable, "-m", "app.cli", "serve"]
        env = {
            **os.environ,
            "SERVAL_DATA_DIR": str(data_dir or folder),
            "SERVAL_DEVICE": "cpu",
            "SERVAL_PORT": str(port),
        }
        env.pop("DATABASE_URL", None)
        with subprocess.Popen(command, cwd=ROOT, env=env, stderr=subprocess.DEVNULL) as process:
            try:
                wait_until_alive(port)
                yield port, psutil.Process(process.pid)
            finally:
                process.terminate()


def wait_until_alive(port: int) -> None:
    """Return when the server answers."""
    until = time.monotonic() + 120
    while time.monotonic() < until:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", "/healthz")
            if connection.getresponse().status == http.HTTPStatus.OK:
                return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError("the server did not start within two minutes")


def upload(port: int, model: Model) -> str:
    """Put the model into the service; its id."""
    boundary = "serval-bench"
    parts = [
        ("weights", 'filename="model.safetensors"', model.weights),
        ("config", 'filename="config.json"', model.config.to_json().encode()),
    ]
    body = b"".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; {more}\r\n\r\n'.encode()
        + content
        + b"\r\n"
        for name, more, content in parts
    )
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    connection.request(
        "POST",
        "/v1/models",
        body + f"--{boundary}--\r\n".encode(),
        {"Content-Type": f"multipart/form-data; boundary={boundary}"},
    )
    answer = json.loads(connection.getresponse().read())
    model_id: str = answer["id"]
    return model_id


if __name__ == "__main__":
    for figure in measure():
        print(json.dumps(figure))
