"""The trainings of a study of 12 small cells, on two workers against one, each with one thread; and
the same with workers that are killed.

The whole service does it: Valkey, SQLite, worker processes, and a reconciler in this one. Two
workers need two idle cores to be twice as fast, so a second figure counts processor time, which
holds on a busy machine, too. Audits are left out: they have workers of their own, which would take
the cores that are measured.
"""

import os
import random
import signal
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import psutil
from sqlalchemy import select

from app.corpora.tables import Corpus
from app.jobs.service import cancel
from app.jobs.states import JobKind, JobStatus
from app.jobs.tables import Job, JobEvent
from app.registry.tables import Model
from app.studies import service
from app.studies.schemas import StudyRequest
from bench.shards import busy, opened, worker
from workers.runtime.context import WorkerContext
from workers.runtime.reconcile import LOOK_SECONDS, Reconciler

CLIPS: Final = 36
SEEDS: Final = 2
CELLS: Final = 6 * SEEDS
ITERATIONS: Final = 40
BAR: Final = 1.8
KILLS: Final = 10
INTERVAL_SECONDS: Final = 0.5
"""Between two checkpoints, of the workers that are killed."""
PATIENCE: Final = 1800.0


@dataclass(frozen=True)
class Done:
    """A study whose trainings are done.

    Attributes:
        id: of the study.
        seconds: from the start of the first training to the end of the last.
        busy: processor seconds of each worker.
    """

    id: str
    seconds: float
    busy: list[float]


def measure() -> list[dict[str, Any]]:
    """Speed with two workers, and what kills cost."""
    with ExitStack() as stack:
        context = stack.enter_context(opened(CLIPS, ("train", "dev", "test")))
        first = stack.enter_context(worker(context, JobKind.TRAINING))
        done(context, [first], seed=0)  # the caches of the disk are warm now
        alone = done(context, [first], seed=1)
        second = stack.enter_context(worker(context, JobKind.TRAINING))
        both = done(context, [first, second], seed=2)
    return [*speed(alone, both), *harmed()]


def speed(alone: Done, both: Done) -> list[dict[str, Any]]:
    """Both figures of two workers."""
    return [
        {
            "name": f"the trainings of a study of {CELLS} cells, one worker against two, in s",
            "value": alone.seconds / both.seconds,
            "bar": BAR,
            "better": "higher",
            "note": f"{alone.seconds:.1f} s against {both.seconds:.1f} s on {os.cpu_count()} cores,"
            f" load {os.getloadavg()[0]:.1f}; two idle cores are needed",
        },
        {
            "name": "the same in processor time, of the busier of the two workers",
            "value": sum(alone.busy) / max(both.busy),
            "bar": BAR,
            "better": "higher",
            "note": f"{sum(alone.busy):.1f} s alone; {both.busy[0]:.1f} and {both.busy[1]:.1f} s",
        },
    ]


def harmed() -> list[dict[str, Any]]:
    """What is left of a study whose workers' horses are killed at random moments."""
    settings = {"SERVAL_CHECKPOINT_SECONDS": str(INTERVAL_SECONDS)}
    with ExitStack() as stack:
        context = stack.enter_context(opened(CLIPS, ("train", "dev", "test")))
        workers = [
            stack.enter_context(worker(context, JobKind.TRAINING, **settings)) for _ in range(2)
        ]
        unharmed = done(context, workers, seed=0)
        whole = weights(context, unharmed.id)
        forget(context)
        study = begin(context, seed=0)
        killed = kill(context, study, workers, every=unharmed.seconds / KILLS)
        wait(context, study)
        again = weights(context, study)
        lost = list(lost_intervals(context, study))
    return [
        {
            "name": f"models of {CELLS} that are the same, bit for bit, after {killed} kills",
            "value": sum(whole[name] == again.get(name) for name in whole),
            "bar": CELLS,
            "better": "higher",
            "note": "horses were killed at random moments",
        },
        {
            "name": "training that a kill cost at most, in intervals between two checkpoints",
            "value": max(lost, default=0.0),
            "bar": 1.0,
            "better": "lower",
            "note": f"of {INTERVAL_SECONDS:g} s and an iteration; {len(lost)} attempts went on from"
            " a checkpoint",
        },
    ]


def begin(context: WorkerContext, *, seed: int) -> str:
    """Accept a study; its id."""
    with context.sessions() as session:
        corpus = session.scalars(select(Corpus.id)).one()
        asked = {
            "corpus": corpus,
            "architectures": ["cnn4"],
            "trainings": ["single", "vanilla", {"type": "vanilla", "alpha": 0.3}],
            "epsilons": [0.02],
            "iterations": ITERATIONS,
            "seeds": [SEEDS * seed + n for n in range(SEEDS)],
            "train_on": ["train", "train+dev"],
            "recipe": {"frames": 32, "batch_size": 2},
            "transfer": False,
            "limit": 1,
        }
        request = StudyRequest.model_validate(asked)
        return service.create(session, context, request, owner="local").id


def done(context: WorkerContext, workers: Sequence[psutil.Process], *, seed: int) -> Done:
    """Have a study's trainings done by these workers."""
    before = [busy(one) for one in workers]
    study = begin(context, seed=seed)
    ended = wait(context, study)
    time.sleep(1)  # the last horses are reaped
    began = min(job.started_at for job in ended if job.started_at is not None)
    last = max(job.finished_at for job in ended if job.finished_at is not None)
    return Done(
        id=study,
        seconds=(last - began).total_seconds(),
        busy=[busy(one) - spent for one, spent in zip(workers, before, strict=True)],
    )


def trainings(context: WorkerContext, study: str) -> Sequence[Job]:
    """Those of the study that there are."""
    query = select(Job).where(Job.parent_id == study, Job.kind == JobKind.TRAINING)
    with context.sessions() as session:
        return session.scalars(query).all()


def wait(context: WorkerContext, study: str) -> Sequence[Job]:
    """The trainings, when all have succeeded; a reconciler looks meanwhile. The study is cancelled
    then, with its audits, for which there is no worker."""
    reconciler, until = Reconciler(context), time.monotonic() + PATIENCE
    while time.monotonic() < until:
        reconciler.look()
        found = trainings(context, study)
        bad = [job for job in found if job.status in (JobStatus.FAILED, JobStatus.CANCELLED)]
        if bad:
            raise RuntimeError(f"a training {bad[0].status}: {bad[0].error}")
        if [job.status for job in found].count(JobStatus.SUCCEEDED) == CELLS:
            with context.sessions() as session:
                cancel(session, study, owner="local")
            reconciler.look()
            reconciler.leave()
            return found
        time.sleep(min(0.2, LOOK_SECONDS))
    raise RuntimeError(f"the study takes more than {PATIENCE:g} s")


def weights(context: WorkerContext, study: str) -> dict[str, str]:
    """SHA-256 of each model, by its cell."""
    names = {job.id: str(job.request["name"]) for job in trainings(context, study)}
    with context.sessions() as session:
        rows = session.execute(
            select(Model.training_id, Model.sha256).where(Model.training_id.in_(names))
        )
        return {names[training]: digest for training, digest in rows if training is not None}


def forget(context: WorkerContext) -> None:
    """Delete all models, so that nothing is reused."""
    with context.sessions.begin() as session:
        for model in session.scalars(select(Model)):
            session.delete(model)


def kill(
    context: WorkerContext, study: str, workers: Sequence[psutil.Process], *, every: float
) -> int:
    """Kill horses at random moments, all over the study; how many.

    Args:
        every: seconds from one to the next, in the mean.
    """
    chance, killed, until = random.Random(14), 0, time.monotonic() + PATIENCE
    reconciler = Reconciler(context)
    at = time.monotonic() + chance.uniform(0, 2 * every)
    while killed < KILLS and time.monotonic() < until:
        reconciler.look()
        horses = [horse for one in workers for horse in one.children()]
        if horses and time.monotonic() >= at:
            os.kill(chance.choice(horses).pid, signal.SIGKILL)
            killed += 1
            at = time.monotonic() + chance.uniform(0, 2 * every)
        found = trainings(context, study)
        if len(found) == CELLS and all(job.status.terminal for job in found):
            break
        time.sleep(0.2)
    reconciler.leave()
    return killed


def lost_intervals(context: WorkerContext, study: str) -> Iterator[float]:
    """Of each attempt that went on from a checkpoint, the time of the iterations that were done
    again. A checkpoint is written after the iteration in which its time has come."""
    for job in trainings(context, study):
        query = select(JobEvent).where(JobEvent.job_id == job.id).order_by(JobEvent.seq)
        with context.sessions() as session:
            events = session.scalars(query).all()
        steps: list[JobEvent] = []
        for event in events:
            if event.type == "step":
                steps.append(event)
            elif event.type == "resumed" and steps:
                at = event.data["iteration"]
                again = [one for one in steps if one.data["iteration"] > at]
                yield len(again) * pace(steps) / (INTERVAL_SECONDS + pace(steps))
                steps = [one for one in steps if one.data["iteration"] <= at]


def pace(steps: Sequence[JobEvent]) -> float:
    """Median seconds of an iteration."""
    moments = [one.created_at for one in steps]
    return statistics.median(
        [(after - before).total_seconds() for before, after in pairwise(moments)] or [0.0]
    )
