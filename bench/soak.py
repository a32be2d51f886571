"""Does anything grow with use? The whole service, looked at after each quarter of its work.

    python -m bench.soak --predictions 20000 --audits 200

It runs `serval up` on a folder of its own, with retention set to seconds: memory, open files, keys
in Redis, files and rows are what a service holds that has been in use for long. Predictions and
audits are spread evenly over the quarters. At the end, all that has expired is waited for.
"""

import argparse
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from redis import Redis
from rich.console import Console
from rich.table import Table
from sqlalchemy import func, select

from app import tables
from app.persistence.database import connect

ROOT = Path(__file__).resolve().parents[1]
CLIP = ROOT / "samples" / "synthetic_angry.wav"
MODEL = "cnn4-single-cremad"
PREDICTIONS, AUDITS = 400, 8
QUARTERS = 4
CLIENTS = 2
KEPT_SECONDS = 5.0
PARTS = {
    "api": "app.cli serve",
    "audits": "workers audits",
    "trainings": "workers trainings",
    "reconciler": "workers.runtime.reconcile",
    "valkey": "valkey",
}
UNBOUNDED = ("jobs", "job_events", "deletions")
"""Tables that use makes longer; the others grow by what a client names and keeps."""


@dataclass(frozen=True)
class Look:
    """What the service holds at a moment.

    Attributes:
        rss: MiB of each part.
        descriptors: of each part.
        redis: keys.
        rows: of each table.
        files: in the data folder, but for the logs' and the database's.
    """

    rss: dict[str, float]
    descriptors: dict[str, int]
    redis: int
    rows: dict[str, int]
    files: int


class Service:
    """A running `serval up`."""

    def __init__(self, process: psutil.Process, data: Path, port: int) -> None:
        self._parts = {name: _part(process, words) for name, words in PARTS.items()}
        self.data = data
        self.port = port
        written = (data / "valkey" / "valkey.conf").read_text()
        said = dict(re.findall(r"^(port|requirepass) (\S+)$", written, re.MULTILINE))
        self._redis = Redis(port=int(said["port"]), password=said["requirepass"].strip('"'))
        self._engine = connect(f"sqlite:///{data / 'serval.db'}")

    def look(self) -> Look:
        """What it holds now."""
        with self._engine.connect() as connection:
            counts = {
                name: connection.scalar(select(func.count()).select_from(table)) or 0
                for name, table in tables.metadata.tables.items()
            }
        folders = ("jobs", "corpora", "models", "staging")
        found = [path for name in folders for path in (self.data / name).rglob("*")]
        return Look(
            rss={name: one.memory_info().rss / 2**20 for name, one in self._parts.items()},
            descriptors={name: one.num_fds() for name, one in self._parts.items()},
            redis=int(self._redis.dbsize()),
            rows=counts,
            files=sum(path.is_file() for path in found),
        )

    def send(self, method: str, path: str, body: bytes = b"", kind: str = "audio/wav") -> Any:
        """The JSON of the answer.

        Raises:
            RuntimeError: it is a problem.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=300)
        connection.request(method, path, body, {"Content-Type": kind})
        answer = connection.getresponse()
        told = json.loads(answer.read())
        connection.close()
        if answer.status >= http.HTTPStatus.BAD_REQUEST:
            raise RuntimeError(f"{method} {path}: {told}")
        return told

    def close(self) -> None:
        """Close what looks into it."""
        self._redis.close()
        self._engine.dispose()


def _part(supervisor: psutil.Process, words: str) -> psutil.Process:
    for child in supervisor.children():
        if words in " ".join(child.cmdline()):
            return child
    raise RuntimeError(f"`serval up` has no part {words!r}")


@contextmanager
def service() -> Iterator[Service]:
    """A `serval up` on a folder of its own, which keeps things for `KEPT_SECONDS`."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    days = str(KEPT_SECONDS / 86400)
    with tempfile.TemporaryDirectory() as folder:
        env = {
            **os.environ,
            "SERVAL_DATA_DIR": folder,
            "SERVAL_DEVICE": "cpu",
            "SERVAL_PORT": str(port),
            "SERVAL_KEEP_RESULTS_DAYS": days,
            "SERVAL_KEEP_FAILED_DAYS": days,
            "SERVAL_KEEP_DELETIONS_DAYS": days,
            "PYTHONPATH": str(ROOT),
        }
        for name in ("DATABASE_URL", "REDIS_URL"):
            env.pop(name, None)
        command = [sys.executable, "-P", "-m", "app.cli", "up"]
        with subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE) as process:
            try:
                assert process.stdout is not None
                while b"is ready after" not in (line := process.stdout.readline()):
                    if not line:
                        raise RuntimeError("the service did not start")
                running = Service(psutil.Process(process.pid), Path(folder), port)
                yield running
                running.close()
            finally:
                process.send_signal(signal.SIGINT)
                process.wait(60)


def work(running: Service, predictions: int, audits: int) -> None:
    """Predict, with two clients, and audit meanwhile; return when all is done."""
    clip = CLIP.read_bytes()

    def predict(_: int) -> None:
        running.send("POST", f"/v1/predict?model={MODEL}", clip)

    with ThreadPoolExecutor(CLIENTS + 1) as clients:
        audited = clients.submit(audit_each, running, clip, audits)
        for _ in clients.map(predict, range(predictions)):
            pass  # an error is raised here
        audited.result()


def audit_each(running: Service, clip: bytes, audits: int) -> None:
    """Audit so many times, one after the other."""
    for _ in range(audits):
        audit(running, clip)


def audit(running: Service, clip: bytes) -> None:
    """Audit an uploaded clip, and wait for the end."""
    wanted = {"model": MODEL, "attacks": [{"type": "fgsm", "epsilon": [0.02]}]}
    parts = [
        b'name="request"\r\nContent-Type: application/json\r\n\r\n' + json.dumps(wanted).encode(),
        b'name="file"; filename="clip.wav"\r\nContent-Type: audio/wav\r\n\r\n' + clip,
    ]
    body = b"".join(b"--soak\r\nContent-Disposition: form-data; " + p + b"\r\n" for p in parts)
    kind = "multipart/form-data; boundary=soak"
    job = running.send("POST", "/v1/audits", body + b"--soak--\r\n", kind)
    path = job["urls"]["self"]
    while job["status"] not in {"succeeded", "failed", "cancelled"}:
        time.sleep(0.2)
        job = running.send("GET", path)
    if job["status"] != "succeeded":
        raise RuntimeError(f"an audit failed: {job['error']}")


def soak(predictions: int, audits: int) -> list[Look]:
    """What the service held after a first round, after each quarter, and when all had expired."""
    with service() as running:
        work(running, 50, 1)  # loads models, starts threads, fills caches
        looks = [running.look()]
        for quarter in range(QUARTERS):
            share = [
                (quarter + 1) * all_ // QUARTERS - quarter * all_ // QUARTERS
                for all_ in (predictions, audits)
            ]
            work(running, *share)
            looks.append(running.look())
        until = time.monotonic() + 180  # the reconciler looks once a minute
        while True:
            last = running.look()
            if time.monotonic() > until or not any(last.rows[name] for name in UNBOUNDED):
                return [*looks, last]
            time.sleep(2)


def show(looks: list[Look]) -> Table:
    """A column for each moment."""
    moments = ["first", *(f"{n}/{QUARTERS}" for n in range(1, QUARTERS + 1)), "expired"]
    shown = Table(title="What the service holds")
    for name in ("", *moments):
        shown.add_column(name, justify="right" if name else "left")

    def add(name: str, values: list[float]) -> None:
        shown.add_row(name, *(f"{value:.0f}" for value in values))

    for part in PARTS:
        add(f"RSS of {part}, MiB", [look.rss[part] for look in looks])
    for part in PARTS:
        add(f"descriptors of {part}", [look.descriptors[part] for look in looks])
    add("keys in Redis", [look.redis for look in looks])
    for name in looks[0].rows:
        add(f"rows of {name}", [look.rows[name] for look in looks])
    add("files", [look.files for look in looks])
    return shown


def figures(looks: list[Look], predictions: int, audits: int) -> list[dict[str, Any]]:
    """From the first quarter's end to the last one's; of rows, what is left when all expired."""
    early, late, last = looks[1], looks[QUARTERS], looks[-1]
    did = f"{predictions} predictions, {audits} audits"
    return [
        {
            "name": "resident memory of all parts after the last quarter against the first",
            "value": _total(late.rss) / _total(early.rss),
            "bar": 1.05,
            "better": "lower",
            "note": f"{_total(late.rss):.0f} MiB against {_total(early.rss):.0f}; {did}",
        },
        {
            "name": "open files of all parts, the same",
            "value": _total(late.descriptors) / _total(early.descriptors),
            "bar": 1.05,
            "better": "lower",
            "note": f"{_total(late.descriptors):.0f} against {_total(early.descriptors):.0f}",
        },
        {
            "name": "keys in Redis after the last quarter beyond those after the first",
            "value": late.redis - early.redis,
            "bar": 1,
            "better": "lower",
            "note": f"{late.redis} against {early.redis}; {audits} jobs",
        },
        {
            "name": "rows and files that are left when all has expired",
            "value": sum(last.rows[name] for name in UNBOUNDED) + last.files,
            "bar": 0,
            "better": "lower",
            "note": f"{sum(late.rows[name] for name in UNBOUNDED)} rows and {late.files} files"
            " after the last quarter",
        },
    ]


def _total(values: Mapping[str, float]) -> float:
    return sum(values.values())


def measure() -> list[dict[str, Any]]:
    """A short soak: see the module for a long one."""
    return figures(soak(PREDICTIONS, AUDITS), PREDICTIONS, AUDITS)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Does anything grow with use?")
    parser.add_argument("--predictions", type=int, default=PREDICTIONS)
    parser.add_argument("--audits", type=int, default=AUDITS)
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the service ends with its measuring
    looks = soak(given.predictions, given.audits)
    Console(width=max(110, Console().width)).print(show(looks))
    print(json.dumps(figures(looks, given.predictions, given.audits)))


if __name__ == "__main__":
    main()
