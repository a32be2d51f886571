"""SIGKILL of the work-horse, and of the worker, at random moments; and SIGTERM of the worker."""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from safetensors import safe_open
from sqlalchemy import update

from app.corpora.tables import Corpus
from app.jobs.states import JobStatus
from app.jobs.tables import Job, JobEvent
from app.persistence.database import now
from app.trainings.schemas import TrainingRequest
from models.architectures import ARCHITECTURES
from models.training import TrainingState, train
from tests.faults.conftest import SMALL, TINY, Measure
from tests.faults.stack import Lookout, Process, Stack, alive, until
from tests.models.tiny import TinyNet
from workers.trainings.progress_reporter import MOST_STEP_EVENTS
from workers.trainings.training_data import load_training_data

KILLS = 5
APART = 200
"""Iterations of the training for each kill."""
ITERATIONS = (KILLS + 1) * APART
PLAN = TINY | {"adversarial_from": APART // 2}
"""The first iterations of a training are then the same whatever its length."""
SHORT = TINY | {"adversarial_from": 10, "iterations": 60}
PARTS = 6
"""Of the life of a short training: in each of them it is killed once, at a random moment."""
PATIENCE = 240.0
"""For what has no bar of its own: the machine may be busy."""

Submit = Callable[..., str]


def uninterrupted(stack: Stack, corpus: Corpus, **wanted: Any) -> dict[int, float]:
    """The loss of each iteration of this training when nothing interrupts it."""
    request = TrainingRequest.model_validate({"corpus": corpus.id, **wanted})
    folder = stack.storage.corpus_dir(corpus.id)
    found: dict[int, float] = {}
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    training_data = load_training_data(folder, request, torch.device("cpu"))
    train(
        TrainingState(request.plan(len(training_data.labels))),
        training_data.train,
        training_data.standardizer,
        lambda step: found.update({step.iteration: step.loss}),
    )
    torch.set_num_threads(before)
    return found


@pytest.fixture(scope="module")
def losses(stack: Stack, corpus: Corpus) -> Iterator[dict[int, float]]:
    """Those of the training that is killed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ARCHITECTURES, "tiny", TinyNet)
        yield uninterrupted(stack, corpus, **PLAN, iterations=ITERATIONS)


def the_horse(stack: Stack) -> tuple[int, Process]:
    """The one horse that is at work, and its worker."""

    def one() -> tuple[int, Process] | None:
        found = list(stack.horses().items())
        return found[0] if len(found) == 1 else None

    return until(one, 30, "one horse is at work")


def saved_iteration(stack: Stack, job_id: str) -> int:
    """Iteration of the last checkpoint on disk, 0 for none."""
    folder = stack.storage.job_dir(job_id) / "checkpoint"
    paths = sorted(folder.glob("attempt-*.safetensors"))
    if not paths:
        return 0
    with safe_open(paths[-1], framework="pt") as file:
        return int(file.metadata()["iteration"])


def kill(
    stack: Stack,
    job_id: str,
    first: int,
    seed: int,
    victim: Callable[[], tuple[int, int]],
    measure: Measure,
) -> None:
    """Kill at a random moment after the ``first`` iteration, and see that the job goes on from its
    last checkpoint.

    ``victim`` names the process to kill, and the horse.
    """
    chance = random.Random(seed)
    stack.until_iteration(job_id, first + chance.randrange(APART * 3 // 4), PATIENCE)
    until(lambda: saved_iteration(stack, job_id) > 0, PATIENCE, "there is a checkpoint")
    time.sleep(chance.uniform(0, 0.1))
    pid, horse = victim()
    attempt = stack.row(job_id).attempt

    killed_at, killed = now(), time.monotonic()
    os.kill(pid, signal.SIGKILL)
    until(lambda: not alive(horse), 30, "the horse is gone")
    measure("killed: the horse is gone, s", time.monotonic() - killed, 1.0)
    saved = saved_iteration(stack, job_id)

    until(lambda: goes_on(stack, job_id, attempt + 1), 60, "the job goes on")
    measure("killed: the job goes on, s", time.monotonic() - killed, 20.0)
    (claim,) = claims(stack, job_id, attempt + 1)
    assert claim.created_at >= killed_at, "the next attempt began when this one was dead"
    resumed = [event.data["iteration"] for event in since(stack, job_id, attempt + 1, "resumed")]
    assert resumed == [saved] != [0]


def since(stack: Stack, job_id: str, attempt: int, type_: str) -> list[JobEvent]:
    """The events of that type of that attempt and later ones."""
    begun = claims(stack, job_id, attempt)
    return stack.events(job_id, type_, begun[0].seq) if begun else []


def claims(stack: Stack, job_id: str, attempt: int) -> list[JobEvent]:
    """The beginnings of that attempt: one, or none yet."""
    return [one for one in stack.events(job_id, "running") if one.data["attempt"] == attempt]


def goes_on(stack: Stack, job_id: str, attempt: int) -> bool:
    """Whether that attempt has done an iteration."""
    return bool(since(stack, job_id, attempt, "step"))


def check_one_exact_result(
    stack: Stack, job_id: str, losses: dict[int, float], iterations: int
) -> None:
    job = stack.until_status(job_id, JobStatus.SUCCEEDED, seconds=PATIENCE)
    steps = [event.data for event in stack.events(job_id, "step")]
    every = max(1, iterations // MOST_STEP_EVENTS)
    assert {step["iteration"] for step in steps} == set(range(every, iterations + 1, every))
    assert all(step["loss"] == losses[step["iteration"]] for step in steps)
    assert [model.id for model in stack.models_of(job_id)] == [job.model]
    assert len(stack.events(job_id, "succeeded")) == 1


class TestSigkill:
    def test_a_job_whose_horse_is_killed_five_times_is_done(
        self, stack: Stack, submit: Submit, losses: dict[int, float], measure: Measure
    ) -> None:
        def horse() -> tuple[int, int]:
            pid, _ = the_horse(stack)
            return pid, pid

        with Lookout(stack) as lookout:
            job_id = submit(**PLAN, iterations=ITERATIONS)
            for number in range(KILLS):
                kill(stack, job_id, number * APART, number, horse, measure)
            check_one_exact_result(stack, job_id, losses, ITERATIONS)
        assert lookout.pairs == []
        assert all(worker.running for worker in stack.workers)

    @pytest.mark.parametrize("number", range(KILLS))
    def test_a_job_whose_worker_is_killed_is_done(
        self,
        stack: Stack,
        submit: Submit,
        losses: dict[int, float],
        measure: Measure,
        number: int,
    ) -> None:
        killed: list[Process] = []

        def worker() -> tuple[int, int]:
            horse, worker = the_horse(stack)
            killed.append(worker)
            return worker.pid, horse

        for ready in stack.workers:
            stack.wait_for_worker(ready)
        with Lookout(stack) as lookout:
            job_id = submit(**PLAN, iterations=2 * APART)
            try:
                kill(stack, job_id, 0, number, worker, measure)
            finally:
                for one in killed:
                    stack.replace(one)
            check_one_exact_result(stack, job_id, losses, 2 * APART)
        assert lookout.pairs == []


@pytest.fixture(scope="module")
def short(stack: Stack, corpus: Corpus) -> Iterator[dict[int, float]]:
    """The losses of a short training that nothing interrupts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ARCHITECTURES, "tiny", TinyNet)
        yield uninterrupted(stack, corpus, **SHORT)


@pytest.fixture(scope="module")
def life(stack: Stack, corpus: Corpus) -> float:
    """Seconds from the claim of such a training to its end."""
    job_id = stack.submit(**SHORT, corpus=corpus.id)
    ended = stack.until_status(job_id, JobStatus.SUCCEEDED, seconds=PATIENCE)
    assert ended.finished_at is not None
    assert ended.started_at is not None
    return (ended.finished_at - ended.started_at).total_seconds()


class TestSigkillAtAnyMoment:
    """Of a short training: before its first checkpoint, between two, while the model is scored or
    published, or when all is over."""

    @pytest.mark.parametrize("part", range(PARTS))
    def test_there_is_one_result(
        self, stack: Stack, submit: Submit, short: dict[int, float], life: float, part: int
    ) -> None:
        job_id = submit(**SHORT)
        stack.until_status(job_id, JobStatus.RUNNING, JobStatus.SUCCEEDED, seconds=PATIENCE)
        time.sleep(life * (part + random.Random(part).random()) / PARTS)
        killed_at = now()
        for horse in stack.horses():
            os.kill(horse, signal.SIGKILL)

        check_one_exact_result(stack, job_id, short, SHORT["iterations"])
        later = [event for event in stack.events(job_id, "running") if event.data["attempt"] > 1]
        assert len(later) <= 1
        assert all(event.created_at >= killed_at for event in later)


@contextmanager
def unclaimable(stack: Stack, job_id: str) -> Iterator[None]:
    """Hold the job's row (on SQLite the whole database) in a write that is never committed."""
    with stack.sessions() as session:
        session.execute(update(Job).where(Job.id == job_id).values(deaths=Job.deaths))
        yield
        session.rollback()


class TestSigkillBeforeTheClaim:
    def test_the_reconciler_has_the_job_run(
        self, stack: Stack, submit: Submit, short: dict[int, float], measure: Measure
    ) -> None:
        for worker in stack.workers:
            stack.wait_for_worker(worker)
            worker.send(signal.SIGSTOP)
        try:
            job_id = submit(**SHORT)
            with unclaimable(stack, job_id):
                for worker in stack.workers:
                    worker.send(signal.SIGCONT)
                horse, _ = the_horse(stack)
                os.kill(horse, signal.SIGKILL)
                killed = time.monotonic()
                until(lambda: not alive(horse), 30, "the horse is gone")
                assert stack.row(job_id).attempt == 0
        finally:
            for worker in stack.workers:
                worker.send(signal.SIGCONT)
        stack.until_status(job_id, JobStatus.RUNNING, JobStatus.SUCCEEDED, seconds=PATIENCE)
        measure("killed before its claim: the job runs, s", time.monotonic() - killed, 20.0)
        check_one_exact_result(stack, job_id, short, SHORT["iterations"])
        assert stack.row(job_id).attempt == 1


def nag(worker: Process) -> int:
    """Send SIGTERM until the worker has left, also while its interpreter winds up; how it left."""

    def left() -> bool:
        if worker.running:
            worker.send(signal.SIGTERM)
        return not worker.running

    until(left, 30, "the worker has left")
    return worker.wait(0)


class TestSigterm:
    def test_again_and_again_during_a_training(
        self, stack: Stack, corpus: Corpus, submit: Submit, measure: Measure
    ) -> None:
        wanted = SMALL | {"defense": {"type": "similarity"}, "iterations": 24}
        losses = uninterrupted(stack, corpus, **wanted)
        job_id = submit(**wanted)
        stack.until_iteration(job_id, 8, PATIENCE)
        _, worker = the_horse(stack)
        asked = time.monotonic()
        assert nag(worker) == 0
        measure("SIGTERM: the worker has left, s", time.monotonic() - asked, 15.0)
        stack.replace(worker)

        check_one_exact_result(stack, job_id, losses, 24)
        done = [event.data["iteration"] for event in stack.events(job_id, "step")]
        assert done == list(losses), "nothing is done twice, nothing is left out"
        (resumed,) = stack.events(job_id, "resumed")
        assert 8 <= resumed.data["iteration"] < 24

    def test_a_worker_without_work_ends(self, stack: Stack, measure: Measure) -> None:
        for worker in list(stack.workers):
            stack.wait_for_worker(worker)
        worker = stack.workers[0]
        asked = time.monotonic()
        assert nag(worker) == 0
        measure("SIGTERM: an idle worker has left, s", time.monotonic() - asked, 15.0)
        stack.replace(worker)
