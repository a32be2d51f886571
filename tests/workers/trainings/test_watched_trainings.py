"""Trainings that watch themselves: catastrophic overfitting, and numbers that are none any more."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from safetensors import SafetensorError

from app.jobs.states import JobStatus
from app.jobs.tables import Job
from app.registry import service as registry
from app.trainings.schemas import TrainingResult
from models.evaluation import Evaluation, evaluate
from models.provenance import Provenance
from models.training import TrainingState
from tests.workers.conftest import Submit
from workers.jobs import PERFORM
from workers.runtime import run as running
from workers.runtime.context import WorkerContext
from workers.runtime.progress import Stopped
from workers.trainings import checkpoints, training_job
from workers.trainings.training_job import ProgressReporter

Row = Callable[[str], Job]
Told = Callable[[str, str], list[dict[str, Any]]]

WATCHED: dict[str, Any] = {
    "defense": {"type": "vanilla"},
    "iterations": 12,
    "evaluate_every": 2,
    "adversarial_from": 1,
    "seed": 3,
}
FIGURES = {2: (0.40, 0.35), 4: (0.48, 0.41), 6: (0.45, 0.40), 8: (0.71, 0.02), 10: (0.8, 0.0)}
"""UAR under FGSM and PGD by iteration: overfitted at 8, and the best at 4."""


def work(context: WorkerContext, job: Job) -> None:
    running._run(context, PERFORM, job.id)


@pytest.fixture
def overfits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The figures of evaluations on `dev` are those above; a finished model is really scored."""
    now: list[int] = []
    look = ProgressReporter._look

    def noted(self: ProgressReporter, iteration: int) -> None:
        now[:] = [iteration]
        look(self, iteration)

    def figures(*given: Any, **options: Any) -> Evaluation:
        found = evaluate(*given, **options)
        if options["strengths"] != (0.02,):  # of a finished model
            return found
        return Evaluation(found.clean, {0.02: FIGURES[now[0]][options["attack"].type == "pgd"]})

    monkeypatch.setattr(ProgressReporter, "_look", noted)
    monkeypatch.setattr(training_job, "evaluate", figures)


def result(job: Job) -> TrainingResult:
    assert job.status is JobStatus.SUCCEEDED, job.error
    return TrainingResult.model_validate(job.result)


def weights(context: WorkerContext, model: str) -> torch.Tensor:
    with context.sessions() as session:
        entry = registry.get(session, context.storage, model, owner="local")
    return registry.load_entry(entry).state_dict()["classifier.weight"]


@pytest.mark.usefixtures("overfits")
class TestOverfitting:
    def test_is_a_warning_and_the_training_goes_on(
        self, context: WorkerContext, submit: Submit, row: Row, told: Told
    ) -> None:
        job = submit(**WATCHED)
        work(context, job)
        found = result(row(job.id))
        assert found.overfitting is not None
        assert (found.overfitting.iteration, found.overfitting.best_iteration) == (8, 4)
        assert (found.overfitting.action, found.overfitting.model_iteration) == ("warn", 12)
        assert [one.iteration for one in found.history] == [2, 4, 6, 8, 10]
        (warning,) = [text for text in row(job.id).warnings if "overfitting" in text]
        assert warning == str(found.overfitting)
        assert told(job.id, "warning") == [{"message": warning}]

    @pytest.mark.parametrize(("action", "iteration"), [("stop", 8), ("best", 4)])
    def test_ends_the_training_with_the_model_that_was_asked_for(
        self, context: WorkerContext, submit: Submit, row: Row, told: Told, action: str,
        iteration: int,
    ) -> None:  # fmt: skip
        job = submit(**WATCHED, on_overfitting=action)
        work(context, job)
        ended = row(job.id)
        found = result(ended)
        assert found.overfitting is not None
        assert found.overfitting.model_iteration == iteration
        assert str(found.overfitting) in ended.warnings
        assert [one["iteration"] for one in told(job.id, "step")] == list(range(1, 9))
        assert (ended.progress_done, ended.progress_total) == (8, 8)
        assert torch.equal(
            weights(context, found.model), self.after(context, submit, row, iteration)
        )
        with context.sessions() as session:
            entry = registry.get(session, context.storage, found.model, owner="local")
        assert Provenance.of(entry.config).overfitting == found.overfitting

    @staticmethod
    def after(context: WorkerContext, submit: Submit, row: Row, iterations: int) -> torch.Tensor:
        """The weights of the same training after so many iterations."""
        job = submit(**WATCHED | {"iterations": iterations, "evaluate_every": 0})
        work(context, job)
        return weights(context, result(row(job.id)).model)

    @pytest.mark.parametrize("action", ["warn", "stop", "best"])
    def test_is_found_and_ends_alike_however_often_the_training_is_put_down(
        self,
        context: WorkerContext,
        submit: Submit,
        row: Row,
        action: str,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        whole, broken = (submit(**WATCHED, on_overfitting=action) for _ in range(2))
        work(context, whole)
        look = training_job.look
        for _ in range(20):
            looks: list[object] = []

            def stopped(*given: Any, looks: list[object] = looks, **options: Any) -> Evaluation:
                looks.append(given)
                if len(looks) == 3:  # in the second evaluation, or while the model is scored
                    raise Stopped
                return look(*given, **options)

            with monkeypatch.context() as patch:
                patch.setattr(training_job, "look", stopped)
                work(context, broken)
            if row(broken.id).status is not JobStatus.QUEUED:
                break
        assert row(broken.id).attempt > 2
        assert row(broken.id).result == {
            **(row(whole.id).result or {}),
            "model": row(broken.id).model,
        }
        assert row(broken.id).warnings == row(whole.id).warnings
        first, second = (weights(context, str(row(one.id).model)) for one in (whole, broken))
        assert torch.equal(first, second)

    def test_on_a_full_disk_costs_the_best_and_says_so(
        self, context: WorkerContext, submit: Submit, row: Row, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real = TrainingState.save

        def full(state: TrainingState, path: Any) -> None:
            if path.name.startswith("best"):
                raise SafetensorError("I/O error: No space left on device (os error 28)")
            real(state, path)

        monkeypatch.setattr(TrainingState, "save", full)
        job = submit(**WATCHED, on_overfitting="best")
        work(context, job)
        found = result(row(job.id)).overfitting
        assert found is not None
        assert (found.action, found.model_iteration) == ("stop", 8)
        assert checkpoints.NO_BEST.format(iteration=8) in row(job.id).warnings
        assert str(found) in row(job.id).warnings


def test_before_adversarial_data_enter_there_is_no_overfitting(
    context: WorkerContext, submit: Submit, row: Row, overfits: None
) -> None:
    job = submit(**WATCHED | {"adversarial_from": 6})
    work(context, job)
    assert result(row(job.id)).overfitting is None
