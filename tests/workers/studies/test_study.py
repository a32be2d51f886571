"""A study that is done by real trainings and audits, from its acceptance to its tables."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from app.corpora.tables import Corpus
from app.jobs.service import cancel
from app.jobs.states import JobKind, JobStatus
from app.jobs.tables import Job
from app.studies import result, service
from app.studies.pictures import pictures
from app.studies.schemas import StudyFigure, StudyRequest
from models.architectures import ARCHITECTURES
from models.studies.rendering import RENDERERS
from models.studies.result import StudyResult
from tests.models.tiny import TinyNet
from workers.audits import artifacts
from workers.jobs import PERFORM
from workers.runtime import run as running
from workers.runtime.context import WorkerContext
from workers.runtime.reconcile import Reconciler
from workers.runtime.recovery import settle

Begin = Callable[..., Job]


@pytest.fixture(autouse=True)
def one_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of single clips take most of the time of a small audit."""
    monkeypatch.setattr(artifacts, "MOST_PICTURES", 1)


@pytest.fixture
def begin(
    context: WorkerContext, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Job]:
    """Accept a study of four cells of a tiny network."""
    monkeypatch.setitem(ARCHITECTURES, "tiny", TinyNet)
    small = {
        "corpus": corpus.id,
        "architectures": ["tiny"],
        "trainings": ["single", "vanilla"],
        "epsilons": [0.02],
        "iterations": 4,
        "recipe": {"batch_size": 4, "frames": 32},
        "audits": [{"type": "fgsm"}, {"type": "noise"}],
    }

    def begin(**wanted: Any) -> Job:
        with context.sessions() as session:
            request = StudyRequest.model_validate(small | wanted)
            return service.create(session, context, request, owner="local")

    return begin


@pytest.fixture
def work(context: WorkerContext) -> Callable[[], None]:
    """Do what is queued, as workers do, until nothing is."""

    def queued() -> list[str]:
        query = select(Job.id).where(Job.status == JobStatus.QUEUED).order_by(Job.created_at)
        with context.sessions() as session:
            return list(session.scalars(query))

    def work() -> None:
        while waiting := queued():
            for job_id in waiting:
                running._run(context, PERFORM, job_id)
                settle(context, job_id, running.claimed.read(), "it ended")

    return work


@pytest.fixture
def tables(context: WorkerContext) -> Callable[[Job], StudyResult]:
    def tables(study: Job) -> StudyResult:
        with context.sessions() as session:
            return result.result(session, context.storage, study.id, owner="local")

    return tables


@pytest.fixture
def clock() -> list[float]:
    """The reconciler's, which a test sets."""
    return [0.0]


def row(context: WorkerContext, study: Job) -> Job:
    with context.sessions() as session:
        return session.get_one(Job, study.id)


@pytest.mark.timeout(300)
class TestDone:
    def test_workers_do_it_from_its_first_training_to_its_tables_which_outlive_its_audits(
        self,
        context: WorkerContext,
        begin: Begin,
        work: Callable[[], None],
        tables: Callable[[Job], StudyResult],
    ) -> None:
        study = begin(train_on=["train+dev"])  # two cells, and as few audits as there can be
        before = tables(study)
        assert (before.caption.finished, before.caption.of) == (0, 2)
        work()
        ended = row(context, study)
        assert (ended.status, ended.error) == (JobStatus.SUCCEEDED, None)
        assert ended.result is not None
        assert (ended.result["succeeded"], ended.progress_done) == (2, 2)
        found = tables(study)
        assert (found.caption.finished, found.caption.of) == (2, 2)
        assert (found.caption.corpus, found.caption.devices) == ("speechless", ["cpu"])
        assert "pgd" in found.transfer.model_dump_json()
        for form, render in RENDERERS.items():
            assert "tiny" in render(found), form
        charts = {one.name: str(one.svg) for one in result.figures(found)}
        assert {name.split("-")[1] for name in charts} == {"fgsm", "noise", "worst"}
        assert all(svg.startswith("<svg") for svg in charts.values())
        drawn = figure_2(context, found)
        assert drawn
        assert drawn[0].name == "tiny-figure2-1.png"
        assert drawn[0].url == f"/v1/audits/{found.figure_2[0].audit}/artifacts/figure2-1.png"
        remove_audits(context)
        assert tables(study) == found
        assert figure_2(context, found) == []
        assert row(context, study).bytes


def figure_2(context: WorkerContext, found: StudyResult) -> list[StudyFigure]:
    with context.sessions() as session:
        return list(pictures(session, context.storage, found, owner="local"))


def remove_audits(context: WorkerContext) -> None:
    with context.sessions() as session:
        for audit in session.scalars(select(Job.id).where(Job.kind == JobKind.AUDIT)):
            context.storage.remove(context.storage.job_dir(audit))


class TestTheReconciler:
    @pytest.fixture
    def reconciler(self, context: WorkerContext, clock: list[float]) -> Reconciler:
        return Reconciler(context, clock=lambda: clock[0])

    def test_a_study_has_no_heartbeat_and_is_not_taken_for_lost(
        self, context: WorkerContext, begin: Begin, reconciler: Reconciler, clock: list[float]
    ) -> None:
        study = begin()
        for moment in (0.0, 60.0, 120.0):
            clock[0] = moment
            reconciler.look()
        found = row(context, study)
        assert (found.status, found.attempt) == (JobStatus.RUNNING, 1)

    def test_it_drives_a_study_that_nobody_else_does(
        self, context: WorkerContext, begin: Begin, reconciler: Reconciler
    ) -> None:
        study = begin()
        with context.sessions() as session:
            first = session.scalars(select(Job).where(Job.parent_id == study.id)).all()[0]
        running._run(context, PERFORM, first.id)  # and its worker dies before it settles
        reconciler.look()
        with context.sessions() as session:
            audits = session.scalars(select(Job).where(Job.kind == JobKind.AUDIT)).all()
        assert [one.request["partition"] for one in audits] == ["dev", "test"]

    def test_it_ends_a_study_whose_cancel_was_cut_short(
        self, context: WorkerContext, begin: Begin, reconciler: Reconciler
    ) -> None:
        study = begin()
        with context.sessions() as session:
            cancel(session, study.id, owner="local")  # and the API dies
        reconciler.look()
        assert row(context, study).status is JobStatus.CANCELLED
        with context.sessions() as session:
            left = session.scalars(select(Job.status).where(Job.parent_id == study.id)).all()
        assert set(left) == {JobStatus.CANCELLED}
