"""Predicting over HTTP with Serval and with LitServe, both with the same network and weights.

LitServe is no dependency of Serval. It is installed into an environment of its own for the time of
the measurement; or LITSERVE_PYTHON names a Python that has it.

    make bench ARGS=litserve

LitServe gets one torch thread, two workers and batches of eight. While one server is measured the
others are suspended.
"""

import json
import os
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from bench.predict import (
    CLIENTS,
    CLIP,
    ROOT,
    Client,
    Measured,
    Model,
    a_model,
    free_port,
    in_parallel,
    medians,
    request_bytes,
    server,
    timed,
    upload,
)
from models.checkpoint import CONFIG, WEIGHTS

VERSION = "0.2.19"
NEEDED = (f"litserve=={VERSION}", "python-multipart")
"""Forms are read by the second, which LitServe does not bring along."""
TURNS = 5
ALONE = 30
"""Predictions of a lone client in a turn."""
EACH = 15
"""Of each of many clients."""
SETTLE_SECONDS = 0.5
NAMES = (
    "a lone client's p50 behind LitServe against Serval",
    f"predictions a second with {CLIENTS} clients, Serval against LitServe",
)
BARS = (3.0, 2.0)


class Absent(Exception):
    """There is no LitServe; the message says why."""


@dataclass
class Side:
    """A server, and what was measured of it in each turn."""

    port: int
    request: bytes
    processes: list[psutil.Process]
    p50: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)

    def suspend(self) -> None:
        """It computes nothing from here on."""
        for process in self.processes:
            process.suspend()

    def measure(self) -> None:
        """A turn."""
        for process in self.processes:
            process.resume()
        time.sleep(SETTLE_SECONDS)
        client = Client(self.port, self.request)
        client.predict()
        self.p50.append(statistics.median(timed(client.predict) for _ in range(ALONE)))
        count = EACH * CLIENTS
        self.rate.append(count / timed(lambda: in_parallel([self.port], self.request, count)))
        self.suspend()


def measure() -> list[dict[str, Any]]:
    """Both ratios; then the same with Serval's own fast form of the network behind LitServe, which
    leaves the difference of the servers alone."""
    with tempfile.TemporaryDirectory() as name:
        folder, model = Path(name), a_model()
        (folder / WEIGHTS).write_bytes(model.weights)
        (folder / CONFIG).write_text(model.config.to_json())
        try:
            python = litserve_python(folder / "venv")
        except Absent as error:
            return [{"name": name, "skipped": str(error)} for name in NAMES]
        serval, plain, fast = by_turns(python, folder, model)
    how = "LitServe with one thread, two workers, batches of 8"
    return [
        *figures(serval, plain, how, BARS),
        *figures(serval, fast, f"{how}, and the network as Serval serves it", None),
    ]


def figures(
    serval: Side, other: Side, how: str, bars: Sequence[float] | None
) -> list[dict[str, Any]]:
    """The two ratios, each the median of those of neighbouring turns."""
    latency, rate = medians(other.p50, serval.p50), medians(serval.rate, other.rate)
    load = f"load {os.getloadavg()[0]:.1f}"
    notes = (
        f"{1000 * latency.ours:.1f} ms against {1000 * latency.theirs:.1f} ms; {how}; {load}",
        f"{rate.ours:.1f}/s against {rate.theirs:.1f}/s; {how}; {load}",
    )
    found: tuple[Measured, Measured] = (latency, rate)
    return [
        {"name": name, "value": one.ratio, "note": note}
        | ({} if bars is None else {"bar": bars[number], "better": "higher"})
        for number, (name, one, note) in enumerate(zip(NAMES, found, notes, strict=True))
    ]


def by_turns(python: Path, folder: Path, model: Model) -> list[Side]:
    """Serval, LitServe with the network as torch has it, and with Serval's form of it."""
    clip = CLIP.read_bytes()
    with ExitStack() as stack:
        port, process = stack.enter_context(server())
        path = f"/v1/predict?model={upload(port, model)}"
        sides = [Side(port, request_bytes(path, clip), [process])]
        sides += [
            stack.enter_context(litserve(python, folder, view, clip))
            for view in ("plain", "served")
        ]
        stack.callback(lambda: [one.resume() for side in sides for one in side.processes])
        said = [scores(Client(side.port, side.request).predict()) for side in sides]
        worst = max(abs(said[0][label] - one[label]) for one in said for label in one)
        if worst > 1e-4:
            raise RuntimeError(f"the servers' probabilities differ by {worst}")
        for side in sides:
            in_parallel([side.port], side.request, CLIENTS * EACH)  # caches, and second workers
            side.suspend()
        for _ in range(TURNS):
            for side in sides:
                side.measure()
    return sides


def scores(body: bytes) -> dict[str, float]:
    """The probabilities of an answer, by label."""
    return {one["label"]: one["score"] for one in json.loads(body)["scores"]}


@contextmanager
def litserve(python: Path, folder: Path, view: str, clip: bytes) -> Iterator[Side]:
    """A LitServe that answers.

    Raises:
        RuntimeError: it did not within two minutes.
    """
    port = free_port()
    packages = sysconfig.get_path("purelib")
    command = [python, "-m", "bench.litserve_server", str(port), str(folder), view, packages]
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, cwd=ROOT, env=env) as process:
        parent = psutil.Process(process.pid)
        try:
            request = form_bytes(clip)
            wait_until_it_predicts(process, port, request)
            yield Side(port, request, [*parent.children(recursive=True), parent])
        finally:
            for one in [*parent.children(recursive=True), parent]:
                one.kill()


def wait_until_it_predicts(process: subprocess.Popen[bytes], port: int, request: bytes) -> None:
    """Return when it has answered a request."""
    until = time.monotonic() + 120
    while time.monotonic() < until and process.poll() is None:
        try:
            Client(port, request).predict()
        except (OSError, RuntimeError):
            time.sleep(0.2)
        else:
            return
    raise RuntimeError("LitServe did not start within two minutes")


def form_bytes(clip: bytes) -> bytes:
    """A clip as LitServe takes files: in a form."""
    body = (
        b'--bench\r\nContent-Disposition: form-data; name="content"; filename="clip.wav"\r\n'
        b"Content-Type: audio/wav\r\n\r\n" + clip + b"\r\n--bench--\r\n"
    )
    return request_bytes("/predict", body, "multipart/form-data; boundary=bench")


def litserve_python(folder: Path) -> Path:
    """A Python that has LitServe: that of LITSERVE_PYTHON, or of an environment made in ``folder``.

    Raises:
        Absent: it cannot be had.
    """
    given = os.environ.get("LITSERVE_PYTHON")
    if given is not None:
        python = Path(given)
        asked = _run(given, "-c", "import importlib.metadata as m; print(m.version('litserve'))")
        if asked.stdout.strip() != VERSION:
            raise Absent(f"LITSERVE_PYTHON is {given}, which has no LitServe {VERSION}")
        return python
    _run(sys.executable, "-m", "venv", str(folder))
    python = folder / "bin" / "python"
    installed = _run(str(python), "-m", "pip", "install", "--quiet", *NEEDED)
    if installed.returncode != 0:
        why = (installed.stderr.strip().splitlines() or ["pip failed"])[-1]
        raise Absent(f"LitServe {VERSION} cannot be installed: {why}")
    return python


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        raise Absent(f"{command[0]} cannot be run: {error.strerror}") from error
