"""Trainings of detectors: exact over interruptions, examined, and attached to their model."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from sqlalchemy import update

from app.corpora.tables import Corpus
from app.jobs.states import JobStatus
from app.jobs.tables import Job
from app.registry import detectors
from app.registry import service as registry
from app.registry.service import Entry
from app.registry.tables import Model
from app.trainings.detector_request import DetectorRequest, DetectorResult, detector_dir
from app.trainings.detectors import create
from app.trainings.kept_checkpoint import kept_checkpoint
from models.architectures import ARCHITECTURES
from models.detectors import DetectorConfig, evading, evaluation
from models.detectors.training import DetectorStep
from tests.app.tiny import tiny_config
from tests.models.tiny import TinyNet, tiny_net
from workers.jobs import PERFORM
from workers.runtime import run as running
from workers.runtime.context import WorkerContext
from workers.runtime.progress import Watchdog
from workers.runtime.recovery import clear_away
from workers.trainings import detector_job

LABELS = ("anger", "joy", "sadness")
Submit = Callable[..., Job]
Row = Callable[[str], Job]
Told = Callable[[str, str], list[dict[str, Any]]]


@pytest.fixture(autouse=True)
def few_probes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two attacks that it has not learnt, and an attacker who takes few steps."""
    monkeypatch.setattr(evaluation, "UNSEEN", ({"type": "pgd", "steps": 2}, {"type": "fgsm"}))
    monkeypatch.setattr(evading, "STEPS", 2)


@pytest.fixture
def model(context: WorkerContext, monkeypatch: pytest.MonkeyPatch) -> Model:
    monkeypatch.setitem(ARCHITECTURES, "tiny", TinyNet)
    with context.sessions.begin() as session:
        row = registry.publish(
            session,
            context.storage,
            tiny_net().eval(),
            tiny_config(*LABELS),
            owner="local",
            name="victim",
        )
        session.expunge(row)
    return row


@pytest.fixture
def submit(context: WorkerContext, corpus: Corpus, model: Model) -> Submit:
    def submit(**wanted: Any) -> Job:
        small = {"epsilon": 0.5, "iterations": 6, "batch_size": 4, "evaluate_clips": 6}
        request = DetectorRequest.model_validate(
            {"type": "detector", "model": model.id, "corpus": corpus.id, **small, **wanted}
        )
        with context.sessions() as session:
            return create(
                session, context.queue, context.storage, context.settings, request, owner="local"
            )

    return submit


def work(context: WorkerContext, job: Job) -> None:
    running._run(context, PERFORM, job.id)


def entry_of(context: WorkerContext, model: Model) -> Entry:
    with context.sessions() as session:
        return registry.get(session, context.storage, model.id, owner="local")


class TestDetector:
    def test_it_is_attached_to_its_model_and_bound_to_its_weights(
        self, context: WorkerContext, submit: Submit, row: Row, model: Model
    ) -> None:
        job = submit()
        work(context, job)
        ended = row(job.id)
        assert ended.status is JobStatus.SUCCEEDED, ended.error
        assert ended.model == model.id
        result = DetectorResult.model_validate(ended.result)
        entry = entry_of(context, model)
        assert entry.detector is not None
        assert entry.detector.sha256 == result.detector
        config = entry.detector.config
        assert (config.model_sha256, config.training) == (model.sha256, job.id)
        assert config.threshold == result.metrics.threshold
        net = detectors.load(entry, torch.device("cpu"))
        assert net is not None
        assert bool(torch.isfinite(net(torch.randn(2, 32, 64))).all())

    def test_unless_that_is_not_wanted(
        self, context: WorkerContext, submit: Submit, row: Row, model: Model
    ) -> None:
        job = submit(attach=False)
        work(context, job)
        assert entry_of(context, model).detector is None
        folder = detector_dir(context.storage, job.id, 1)
        kept = DetectorConfig.from_json((folder / "detector.json").read_bytes())
        assert kept.training == job.id
        assert row(job.id).bytes == sum(path.stat().st_size for path in folder.iterdir())

    def test_every_attack_is_told_at_three_strengths_with_its_n(
        self, context: WorkerContext, submit: Submit, row: Row, told: Told
    ) -> None:
        job = submit()
        work(context, job)
        metrics = DetectorResult.model_validate(row(job.id).result).metrics
        kinds = {(one.kind, one.attack) for one in metrics.rows}
        assert kinds == {
            ("learnt", "fgsm"),
            ("unseen", "pgd"),
            ("control", "noise"),
            ("evading", "evading"),
        }
        for kind, attack in kinds:
            rows = [one for one in metrics.rows if (one.kind, one.attack) == (kind, attack)]
            assert [one.strength for one in rows] == [0.25, 0.5, 1.0]
            assert {one.n for one in rows} == {6}
        assert len(told(job.id, "examined")) == len(metrics.rows)
        assert (metrics.false_alarm_rate["dev"].n, metrics.false_alarm_rate["test"].n) == (12, 12)
        assert metrics.false_alarm_rate["dev"].value == 0

    def test_a_stopped_training_ends_with_the_same_figures(
        self,
        context: WorkerContext,
        submit: Submit,
        row: Row,
        told: Told,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        whole = submit()
        work(context, whole)
        progress = Watchdog.progress
        stops: set[tuple[float, str]] = {(3, "iterations"), (2, "points")}

        def stop(self: Watchdog, done: float, total: float, unit: str) -> None:
            progress(self, done, total, unit)
            if (done, unit) in stops:
                stops.remove((done, unit))
                self.stop()

        monkeypatch.setattr(Watchdog, "progress", stop)
        parts = submit()
        for _ in range(3):
            work(context, parts)
        assert stops == set()
        assert [one["iteration"] for one in told(parts.id, "step")] == [1, 2, 3, 4, 5, 6]
        assert len(told(parts.id, "examined")) == len(told(whole.id, "examined"))
        assert row(parts.id).status is JobStatus.SUCCEEDED
        assert row(parts.id).result == row(whole.id).result

    def test_one_that_diverges_leaves_no_checkpoint_for_nothing_goes_on_from_it(
        self,
        context: WorkerContext,
        submit: Submit,
        row: Row,
        told: Told,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        settings = context.settings.model_copy(update={"checkpoint_seconds": 0})
        report = detector_job.Reporter.__call__

        def spoilt(self: detector_job.Reporter, step: DetectorStep) -> None:
            report(self, step)
            if step.iteration == 4:
                with torch.no_grad():
                    next(self._work.state.net.parameters()).fill_(torch.nan)

        monkeypatch.setattr(detector_job.Reporter, "__call__", spoilt)
        job = submit()
        work(replace(context, settings=settings), job)
        assert [one["iteration"] for one in told(job.id, "step")] == [1, 2, 3, 4]
        assert (row(job.id).error or {})["code"] == "diverged"
        assert kept_checkpoint(context.storage, job.id) is not None
        clear_away(context, [job.id])
        assert not context.storage.job_dir(job.id).exists()
        assert row(job.id).bytes == 0

    def test_a_deleted_corpus_is_named(
        self, context: WorkerContext, submit: Submit, row: Row, corpus: Corpus
    ) -> None:
        job = submit()
        with context.sessions.begin() as session:
            session.execute(update(Corpus).values(owner="another"))
        work(context, job)
        error = row(job.id).error
        assert error is not None
        assert error["code"] == "corpus_deleted"
        assert corpus.id in error["message"]
