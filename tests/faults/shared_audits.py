"""Audits that several workers share: who does what, and what they leave."""

import json
import re
from pathlib import Path
from typing import Any

import psutil

from app.audits import files
from app.jobs import shards as rows_of_shards
from app.jobs.states import JobStatus, ShardStatus
from app.jobs.tables import Shard
from tests.faults.stack import Process, Stack, alive, until

CLIPS = 144
"""Of the corpus."""
PATIENCE = 400.0
ANSI = re.compile(rb"\x1b\[[0-9;]*m")


class Auditors:
    """Audit workers that split any audit into shards of sixteen clips."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.workers: list[Process] = []

    def have(self, count: int) -> list[Process]:
        """Exactly so many."""
        self.workers = [worker for worker in self.workers if worker.running]
        while len(self.workers) > count:
            self.workers.pop().end()
        while len(self.workers) < count:
            name = f"auditor-{len(self.stack.processes)}"
            worker = self.stack.start_python(
                name, "workers", "audits", SERVAL_AUDIT_SHARD_PASSES="1"
            )
            self.workers.append(worker)
        for worker in self.workers:
            self.stack.wait_for_worker(worker)
        return self.workers

    def started(self, worker: Process, job_id: str) -> list[bytes]:
        """What a worker's log says of the runs that it began: of the job, or of a shard."""
        lines = ANSI.sub(b"", worker.log.read_bytes()).splitlines()
        return [line for line in lines if b"started" in line and job_id.encode() in line]

    def helps(self, worker: Process, job_id: str) -> int:
        """How many shards of others' audits it began."""
        return sum(b"shard=" in line for line in self.started(worker, job_id))

    def holder(self, job_id: str) -> Process:
        """The worker that holds the job."""

        def found() -> Process | None:
            held = [
                worker
                for worker in self.workers
                if any(b"shard=" not in line for line in self.started(worker, job_id))
            ]
            return held[-1] if held else None

        return until(found, 60, "a worker holds the job")

    def helper(self, job_id: str) -> Process:
        """A worker that does a shard just now, of an audit that another one holds."""

        def found() -> Process | None:
            others = [one for one in self.workers if self.helps(one, job_id)]
            return others[0] if others else None

        return until(found, 60, "another worker helps")

    def running(self) -> set[int]:
        """The horses at work."""
        return {
            child.pid
            for worker in self.workers
            if worker.running
            for child in psutil.Process(worker.pid).children()
            if alive(child.pid)
        }


def made(stack: Stack, job_id: str) -> dict[str, Any]:
    """All that an audit leaves, but for what tells of time and which audit it is."""
    job = stack.until_status(job_id, JobStatus.SUCCEEDED, seconds=PATIENCE)
    folder: Path = files.attempt_dir(stack.storage, job_id, job.attempt)
    found: dict[str, Any] = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != files.REPORT
    }
    report = json.loads((folder / files.REPORT).read_text())
    assert report.pop("audit") == job_id
    del report["created_at"]
    assert job.result is not None
    for result in (report["result"], job.result):
        del result["forecast"]["seconds"]
        for one in (*result["attacks"], result):
            del one["cost"]["seconds"]
    assert job.result["n"] == CLIPS
    return found | {"report": report, "result": job.result, "warnings": job.warnings}


def shards(stack: Stack, job_id: str) -> list[Shard]:
    return list(rows_of_shards.read(stack.sessions, job_id))


def under_way(stack: Stack, job_id: str, done: int = 1) -> None:
    """Wait until so many shards are done, and others are not."""

    def reached() -> bool:
        states = [one.status for one in shards(stack, job_id)]
        return states.count(ShardStatus.DONE) >= done and ShardStatus.QUEUED in states

    until(reached, PATIENCE, f"{done} shards of {job_id} are done")
