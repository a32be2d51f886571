"""Audit → training → audit, with the horse of each killed: three jobs, linked, each done once."""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sqlalchemy import select

from app.corpora.tables import Corpus
from app.jobs.states import TERMINAL, JobStatus
from app.jobs.tables import Job
from tests.faults.conftest import TINY
from tests.faults.stack import Stack, alive, until
from tests.speechless import add_corpus, manifest

PATIENCE = 240.0
STRENGTH = 5.0  # standard deviations of a band: against this nothing helps
ITERATIONS = 400

Submit = Callable[..., str]


@pytest.fixture(scope="module")
def corpus(stack: Stack) -> Corpus:
    """Of so many clips that an audit's evidence is not invalid: then nothing is hardened."""
    with stack.sessions() as session:
        return add_corpus(session, stack.storage, manifest(takes=8))


@pytest.fixture(scope="module")
def model(stack: Stack, corpus: Corpus) -> str:
    """A model that knows the corpus' emotions, which differ in level, until it is attacked."""
    learnt = {"defense": {"type": "single"}, "iterations": 200, "front_end": "logmel-1"}
    job_id = stack.submit(**TINY | learnt | {"corpus": corpus.id})
    model = stack.until_status(job_id, JobStatus.SUCCEEDED, seconds=PATIENCE).model
    assert model is not None
    return model


@pytest.fixture
def audit(stack: Stack, corpus: Corpus, model: str) -> Iterator[Callable[[], str]]:
    """Submits an audit that will have the model hardened; gives its id."""

    def audit() -> str:
        return stack.submit(
            "/v1/audits",
            model=model,
            corpus=corpus.id,
            attacks=[{"type": "fgsm", "epsilon": [0.02, STRENGTH]}],
            harden={
                "defense": {"type": "vanilla"},
                "when": {"epsilon": STRENGTH, "success_rate_above": 0.0},
                "iterations": ITERATIONS,
                "batch_size": 8,
            },
        )

    yield audit
    stack.cancel_all()


def children(stack: Stack, job_id: str) -> list[Job]:
    with stack.sessions() as session:
        return list(session.scalars(select(Job).where(Job.parent_id == job_id)))


def hardening(stack: Stack, job_id: str) -> dict[str, Any]:
    found: dict[str, Any] = (stack.row(job_id).result or {})["hardening"]
    return found


def kill_the_horse(stack: Stack, job_id: str, seed: int) -> None:
    """Kill it at a random moment of the job's first attempt."""
    stack.until_status(job_id, JobStatus.RUNNING, seconds=PATIENCE)
    (horse,) = until(lambda: list(stack.horses()) or None, 30, "a horse is at work")
    time.sleep(random.Random(seed).uniform(0, 0.2))
    os.kill(horse, signal.SIGKILL)
    until(lambda: not alive(horse), 30, "the horse is gone")


def only_child(stack: Stack, job_id: str) -> Job:
    (child,) = until(lambda: children(stack, job_id) or None, PATIENCE, f"{job_id} causes a job")
    return child


class TestHarden:
    def test_each_of_the_three_is_done_once_with_every_horse_killed(
        self, stack: Stack, audit: Callable[[], str]
    ) -> None:
        first = audit()
        kill_the_horse(stack, first, seed=1)
        training = only_child(stack, first).id
        kill_the_horse(stack, training, seed=2)
        second = only_child(stack, training).id
        kill_the_horse(stack, second, seed=3)

        for job_id in (first, training, second):
            job = stack.until_status(job_id, JobStatus.SUCCEEDED, seconds=PATIENCE)
            assert job.attempt == 2, f"{job_id} was killed once"
            assert len(stack.events(job_id, "succeeded")) == 1
        assert [job.id for job in children(stack, first)] == [training]
        assert [job.id for job in children(stack, training)] == [second]
        assert hardening(stack, first)["training"] == training
        assert hardening(stack, first)["audit"] == second
        (made,) = stack.models_of(training)
        assert stack.row(second).model == stack.row(training).model == made.id

    def test_a_training_that_is_cancelled_ends_the_chain(
        self, stack: Stack, audit: Callable[[], str]
    ) -> None:
        first = audit()
        training = only_child(stack, first).id
        assert stack.api.post(f"/v1/trainings/{training}/cancel").status_code == 200
        until(lambda: stack.status(training) in TERMINAL, 30, "it has ended")
        assert stack.status(training) is JobStatus.CANCELLED
        assert children(stack, training) == []
        found = hardening(stack, first)
        assert (found["triggered"], found["training"], found["audit"]) == (True, training, None)
