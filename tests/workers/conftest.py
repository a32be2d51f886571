"""Fixtures for the tests of the workers.

| fixture | gives |
|---|---|
| `context` | where jobs are run, in this process: a database and a Redis of the test's own |
| `corpus` | a corpus without recordings, ready to train on |
| `submit` | `submit(iterations=4)` makes a training of a tiny network, queued |
| `row` | `row(job_id)` reads its row, `told(job_id, "step")` its events of one type |
"""

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import pytest
import torch
from sqlalchemy import select

from app.corpora.tables import Corpus
from app.jobs.queue import brief_client
from app.jobs.tables import Job, JobEvent
from app.settings import Settings
from app.trainings.schemas import TrainingRequest
from app.trainings.service import submission
from models.architectures import ARCHITECTURES
from tests.models.tiny import TinyNet
from tests.recorded import record
from tests.speechless import add_corpus
from workers.runtime.context import WorkerContext


class Submit(Protocol):
    def __call__(self, **wanted: Any) -> Job: ...


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Sums of floats depend on how many threads share them."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def context(settings: Settings) -> Iterator[WorkerContext]:
    redis = brief_client(settings.redis_url, timeout_seconds=2)
    place = WorkerContext.open(settings.model_copy(update={"torch_threads": 1}), redis)
    place.storage.prepare()
    yield place
    place.engine.dispose()
    place.queue.close()


@pytest.fixture
def corpus(context: WorkerContext) -> Corpus:
    with context.sessions() as session:
        return add_corpus(session, context.storage)


@pytest.fixture
def submit(context: WorkerContext, corpus: Corpus, monkeypatch: pytest.MonkeyPatch) -> Submit:
    monkeypatch.setitem(ARCHITECTURES, "tiny", TinyNet)
    small = {
        "architecture": "tiny",
        "iterations": 4,
        "batch_size": 4,
        "frames": 32,
        "front_end": "logmel-1",  # the features of the corpus are no sound
    }

    def submit(**wanted: Any) -> Job:
        request = TrainingRequest.model_validate({"corpus": corpus.id, **small, **wanted})
        with context.sessions() as session:
            place = context
            return record(
                session,
                submission(session, place.storage, place.settings, request, owner="local"),
            )

    return submit


@pytest.fixture
def row(context: WorkerContext) -> Callable[[str], Job]:
    def row(job_id: str) -> Job:
        with context.sessions() as session:
            return session.get_one(Job, job_id)

    return row


@pytest.fixture
def told(context: WorkerContext) -> Callable[[str, str], list[dict[str, Any]]]:
    def told(job_id: str, type_: str) -> list[dict[str, Any]]:
        query = select(JobEvent.data).where(JobEvent.job_id == job_id, JobEvent.type == type_)
        with context.sessions() as session:
            return list(session.scalars(query.order_by(JobEvent.seq)))

    return told
