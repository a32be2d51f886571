"""A study whose workers are killed at random moments: each cell is done once, and the tables are
those of a study that nobody harmed."""

import os
import random
import signal
import time
from typing import Any

from sqlalchemy import select

from app.corpora.tables import Corpus
from app.jobs.states import JobKind, JobStatus
from app.jobs.tables import Job
from app.registry.tables import Model
from tests.faults.conftest import TINY
from tests.faults.stack import Stack, alive, until

PATIENCE = 240.0
KILLS = 4
ITERATIONS = 300
UNTOUCHED = ("caption", "partition", "performance", "curves", "significance", "claims")
"""Tables without times and without names of models."""


def begin(stack: Stack, corpus: Corpus) -> str:
    return stack.submit(
        "/v1/studies",
        corpus=corpus.id,
        architectures=["tiny"],
        trainings=["single", "vanilla"],
        epsilons=[0.5],
        iterations=ITERATIONS,
        train_on=["train+dev"],
        recipe={"batch_size": TINY["batch_size"], "frames": TINY["frames"]},
        audits=[{"type": "fgsm"}],
        transfer=False,
    )


def tables(stack: Stack, study: str) -> dict[str, Any]:
    found = stack.api.get(f"/v1/studies/{study}/tables").json()
    return {name: found[name] for name in UNTOUCHED}


def children(stack: Stack, study: str) -> list[Job]:
    with stack.sessions() as session:
        return list(session.scalars(select(Job).where(Job.parent_id == study)))


def forget_models(stack: Stack) -> None:
    """So that nothing is reused."""
    with stack.sessions() as session:
        models = list(session.scalars(select(Model.id)))
    for model in models:
        assert stack.api.delete(f"/v1/models/{model}").status_code == 204


def kill_some_horse(stack: Stack, chance: random.Random, study: str) -> bool:
    """Kill one at a random moment; whether there was one before the study ended."""
    until(lambda: stack.horses() or stack.status(study).terminal, 60, "a horse is at work")
    time.sleep(chance.uniform(0, 0.5))
    for horse in list(stack.horses())[:1]:
        os.kill(horse, signal.SIGKILL)
        until(lambda horse=horse: not alive(horse), 30, "the horse is gone")  # type: ignore[misc]
        return True
    return False


class TestKills:
    def test_the_tables_are_the_same_whoever_is_killed(self, stack: Stack, corpus: Corpus) -> None:
        unharmed = begin(stack, corpus)
        stack.until_status(unharmed, JobStatus.SUCCEEDED, seconds=PATIENCE)
        expected = tables(stack, unharmed)
        forget_models(stack)

        chance = random.Random(14)
        study = begin(stack, corpus)
        killed = sum(kill_some_horse(stack, chance, study) for _ in range(KILLS))
        assert killed >= 1
        victim = stack.workers[0]
        victim.end()  # with its horse, if it has one
        stack.replace(victim)
        ended = stack.until_status(study, JobStatus.SUCCEEDED, seconds=PATIENCE)

        assert ended.result is not None
        assert ended.result["succeeded"] == 2
        assert tables(stack, study) == expected
        done = children(stack, study)
        kinds = [job.kind for job in done]
        assert (kinds.count(JobKind.TRAINING), kinds.count(JobKind.AUDIT)) == (2, 2)
        assert {job.status for job in done} == {JobStatus.SUCCEEDED}
        for job in done:
            if job.kind is JobKind.TRAINING:
                assert len(stack.models_of(job.id)) == 1
                assert len(stack.events(job.id, "succeeded")) == 1
