"""Fixtures for the tests of audits in the worker.

| fixture | gives |
|---|---|
| `context` | where jobs are run, in this process; audits time no passes and draw no pictures |
| `model`, `corpus` | a model of hums, and hums of its emotions with their recordings |
| `passes` | every forward pass through such a model, counted; a test may step in before one |
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import ParamSpec, TypeVar

import pytest
from redis import Redis
from sqlalchemy.orm import Session
from torch import Tensor

from app.audits import fit
from app.corpora.tables import Corpus
from app.jobs.queue import brief_client
from app.jobs.states import JobKind
from app.settings import Settings
from models.architectures import ARCHITECTURES
from models.audit import forecast
from models.audit.forecast import Speed
from tests import spoken
from workers.audits import artifacts, audit_job
from workers.audits.artifacts import Pictures
from workers.audits.exhibit_pictures import VIEWS, Picture
from workers.audits.judged import judge_result
from workers.jobs import PERFORM
from workers.runtime.context import WorkerContext
from workers.runtime.run import configure

P = ParamSpec("P")
T = TypeVar("T")

NO_PICTURES = Pictures(
    pair=lambda *_, **__: b"\x89PNG",
    curves=lambda *_, **__: b"\x89PNG",
    exhibit=lambda _: dict.fromkeys(VIEWS, Picture(png=b"\x89PNG", svg=b"<svg/>")),
)
"""To draw them takes longer than to audit; what they show is in test_pictures.py."""


class Passes:
    """The forward passes through networks, in their order, but for those after the scoring: of
    what is shown, and of the few clips that checks run again.

    Attributes:
        counted: whether passes count just now.
        batches: clips in each.
        before: called before each pass with its number, from 1; what it raises comes from the pass.
        most: clips for which the memory suffices.
        no_memory: what a pass of more of them raises.
    """

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.counted = True
        self.before: Callable[[int], None] = lambda _: None
        self.most = 1_000
        self.no_memory: Exception = MemoryError()

    @property
    def clips(self) -> int:
        """Passes of one clip."""
        return sum(self.batches)

    def note(self, clips: int) -> None:
        """A pass of so many clips is about to be made."""
        if not self.counted:
            return
        self.before(len(self.batches) + 1)
        if clips > self.most:
            raise self.no_memory
        self.batches.append(clips)

    def left_out(self, work: Callable[P, T]) -> Callable[P, T]:
        """The same work, whose passes do not count."""

        def silently(*arguments: P.args, **options: P.kwargs) -> T:
            self.counted = False
            try:
                return work(*arguments, **options)
            finally:
                self.counted = True

        return silently


@pytest.fixture(autouse=True)
def small_partitions_are_no_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """The corpora of these tests are tiny; what is said of that has tests of its own."""
    monkeypatch.setattr(fit, "remarks", lambda *_: [])


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> Passes:
    noted = Passes()

    class CountedEar(spoken.Ear):
        def embed(self, images: Tensor) -> Tensor:
            noted.note(len(images))
            return super().embed(images)

    monkeypatch.setitem(ARCHITECTURES, spoken.ARCHITECTURE, CountedEar)
    monkeypatch.setattr(artifacts, "make", noted.left_out(artifacts.make))
    monkeypatch.setattr(audit_job, "judge_result", noted.left_out(judge_result))
    return noted


@pytest.fixture
def context(
    settings: Settings, passes: Passes, monkeypatch: pytest.MonkeyPatch
) -> Iterator[WorkerContext]:
    monkeypatch.setattr(forecast, "calibrate", lambda *_: Speed(forward=1e-3, gradient=3e-3))
    redis: Redis = brief_client(settings.redis_url, timeout_seconds=1)
    made = WorkerContext.open(
        settings.model_copy(update={"audit_batch": 4, "audit_shard_passes": 2_000}), redis
    )
    quick = partial(audit_job.perform, pictures=NO_PICTURES)
    configure(made, {**PERFORM, JobKind.AUDIT: quick})
    yield made
    made.engine.dispose()
    made.queue.close()


@pytest.fixture
def corpus(context: WorkerContext, session: Session) -> Corpus:
    return spoken.add_corpus(session, context.storage, context.settings)


@pytest.fixture
def model(context: WorkerContext, session: Session) -> str:
    return spoken.add_model(session, context.storage)
