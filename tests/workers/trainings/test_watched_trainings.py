"""Trainings that watch themselves: catastrophic overfitting, and numbers that are none any more."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

import pytest
import torch
from safetensors import SafetensorError

from app.errors import Invalid, NotFound
from app.jobs import deletion
from app.jobs.schemas import Job as Resource
from app.jobs.schemas import JobError
from app.jobs.states import JobStatus
from app.jobs.tables import Job
from app.persistence.kept import tree_size
from app.registry import service as registry
from app.trainings.kept_checkpoint import kept_checkpoint
from app.trainings.schemas import TrainingResult
from models.evaluation import Evaluation, evaluate
from models.provenance import Provenance, ResumedFrom
from models.training import Step, TrainingState, iteration_of
from tests.workers.conftest import Submit
from workers.jobs import PERFORM
from workers.runtime import run as running
from workers.runtime.context import WorkerContext
from workers.runtime.outcome import JobFailed
from workers.runtime.progress import Stopped
from workers.runtime.recovery import clear_away
from workers.trainings import checkpoints, progress_reporter, scores, training_job
from workers.trainings.progress_reporter import ProgressReporter

Row = Callable[[str], Job]
Told = Callable[[str, str], list[dict[str, Any]]]

WATCHED: dict[str, Any] = {
    "defense": {"type": "vanilla"},
    "iterations": 12,
    "evaluate_every": 2,
    "adversarial_from": 1,
    "seed": 3,
}
FIGURES = {2: (0.40, 0.85), 4: (0.48, 0.91), 6: (0.45, 0.90), 8: (0.71, 0.02), 10: (0.8, 0.0)}
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
    monkeypatch.setattr(scores, "evaluate", figures)


def result(job: Job) -> TrainingResult:
    assert job.status is JobStatus.SUCCEEDED, job.error
    return TrainingResult.model_validate(job.result)


def weights(context: WorkerContext, model: str) -> torch.Tensor:
    with context.sessions() as session:
        entry = registry.get(session, context.storage, model, owner="local")
    found: torch.Tensor = registry.load_entry(entry).state_dict()["classifier.weight"]
    return found


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
        clips = {one.pgd_clips for one in found.history}
        assert (clips, found.overfitting.epsilon) == ({found.overfitting.pgd_clips}, 0.02)
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
        look = scores.look
        for _ in range(20):
            looks: list[object] = []

            def stopped(*given: Any, looks: list[object] = looks, **options: Any) -> Evaluation:
                looks.append(given)
                if len(looks) == 3:  # in the second evaluation, or while the model is scored
                    raise Stopped
                return look(*given, **options)

            with monkeypatch.context() as patch:
                for place in (progress_reporter, scores):
                    patch.setattr(place, "look", stopped)
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
        assert checkpoints.BEST_NOT_SAVED in row(job.id).warnings
        assert checkpoints.NO_CHECKPOINT not in row(job.id).warnings
        assert str(found) in row(job.id).warnings


def test_before_adversarial_data_enter_there_is_no_overfitting(
    context: WorkerContext, submit: Submit, row: Row, overfits: None
) -> None:
    job = submit(**WATCHED | {"adversarial_from": 6})
    work(context, job)
    assert result(row(job.id)).overfitting is None


@pytest.fixture
def each_step(context: WorkerContext) -> WorkerContext:
    """The same place, with a checkpoint after each iteration."""
    return replace(context, settings=context.settings.model_copy(update={"checkpoint_seconds": 0}))


Diverge = Callable[[int], None]


@pytest.fixture
def diverge(monkeypatch: pytest.MonkeyPatch) -> Diverge:
    """Have the step of an iteration leave weights that are no numbers; 0 for none any more."""
    at: list[int] = [0]
    on_step = ProgressReporter.on_step

    def spoilt(self: ProgressReporter, step: Step) -> None:
        if step.iteration == at[0]:
            with torch.no_grad():
                next(self.state.net.parameters()).fill_(torch.nan)
        on_step(self, step)

    def diverge(iteration: int) -> None:
        at[0] = iteration

    monkeypatch.setattr(ProgressReporter, "on_step", spoilt)
    return diverge


class TestDivergence:
    ASKED: ClassVar[dict[str, Any]] = {**WATCHED, "evaluate_every": 0}

    def diverged(self, context: WorkerContext, submit: Submit, row: Row, **wanted: Any) -> Job:
        job = submit(**{**self.ASKED, **wanted})
        work(context, job)
        ended = row(job.id)
        assert ended.status is JobStatus.FAILED
        clear_away(context, [job.id])  # as the worker that ran it, and any collection after it
        clear_away(context, [job.id])
        return row(job.id)

    @staticmethod
    def told(job: Job) -> JobError:
        """Its error as clients see it."""
        error = Resource.of(job).error
        assert error is not None
        return error

    def test_is_an_error_with_a_code_that_says_where_and_what_is_left(
        self, each_step: WorkerContext, submit: Submit, row: Row, diverge: Diverge
    ) -> None:
        diverge(7)
        error = self.told(self.diverged(each_step, submit, row))
        assert error.code == "diverged"
        assert error.details == {"iteration": 7, "loss": "nan", "checkpoint_iteration": 6}
        assert "the loss became nan in iteration 7: lower learning_rate" in error.message
        assert "The checkpoint of iteration 6 is kept" in error.message

    def test_that_an_evaluation_meets_first_is_the_same_error(
        self, each_step: WorkerContext, submit: Submit, row: Row, diverge: Diverge
    ) -> None:
        diverge(6)
        error = self.told(self.diverged(each_step, submit, row, evaluate_every=6))
        assert error.code == "diverged"
        assert error.details == {"iteration": 6, "loss": None, "checkpoint_iteration": 5}
        assert error.message.startswith(
            "after iteration 6 the network's scores on dev are no numbers: lower learning_rate"
            " (0.001). The checkpoint of iteration 5 is kept"
        )

    def test_before_the_first_checkpoint_leaves_nothing(
        self, context: WorkerContext, submit: Submit, row: Row, diverge: Diverge
    ) -> None:
        diverge(3)
        ended = self.diverged(context, submit, row)
        assert "No checkpoint was saved before" in (ended.error or {})["message"]
        assert not context.storage.job_dir(ended.id).exists()
        assert ended.bytes == 0

    def test_leaves_the_last_good_checkpoint_which_counts_and_goes_with_the_job(
        self, each_step: WorkerContext, submit: Submit, row: Row, diverge: Diverge
    ) -> None:
        diverge(7)
        ended = self.diverged(each_step, submit, row, on_overfitting="best")
        kept = kept_checkpoint(each_step.storage, ended.id)
        assert kept is not None
        assert iteration_of(kept) == 6
        assert ended.bytes == tree_size(each_step.storage.job_dir(ended.id)) > 0
        with each_step.sessions() as session:
            freed = deletion.delete(session, each_step.storage, ended.id, owner="local")
        assert freed == ended.bytes
        assert not kept.exists()

    def test_another_failure_leaves_no_checkpoint(
        self,
        each_step: WorkerContext,
        submit: Submit,
        row: Row,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def fail(*_: object, **__: object) -> None:
            raise JobFailed("flat_features", "no sound")

        monkeypatch.setattr(training_job, "score", fail)
        ended = self.diverged(each_step, submit, row)
        assert not each_step.storage.job_dir(ended.id).exists()

    def test_another_training_goes_on_from_it_and_its_model_says_so(
        self, each_step: WorkerContext, submit: Submit, row: Row, told: Told, diverge: Diverge
    ) -> None:
        diverge(7)
        broken = self.diverged(each_step, submit, row)
        diverge(0)
        mended = submit(**self.ASKED, resume_from=broken.id, learning_rate=1e-4)
        work(each_step, mended)
        assert row(mended.id).error is None
        assert told(mended.id, "resumed") == [{"iteration": 6, "training": broken.id}]
        steps = [(one["iteration"], one["learning_rate"]) for one in told(mended.id, "step")]
        assert steps == [(iteration, 1e-4) for iteration in range(7, 13)]
        with each_step.sessions() as session:
            model = str(row(mended.id).model)
            entry = registry.get(session, each_step.storage, model, owner="local")
        resumed = Provenance.of(entry.config).resumed_from
        assert resumed == ResumedFrom(training=broken.id, iteration=6)

    def test_with_the_same_rates_it_goes_on_to_the_weights_of_one_that_never_diverged(
        self, each_step: WorkerContext, submit: Submit, row: Row, diverge: Diverge
    ) -> None:
        whole = submit(**self.ASKED)
        work(each_step, whole)
        diverge(7)
        broken = self.diverged(each_step, submit, row)
        diverge(0)
        mended = submit(**self.ASKED, resume_from=broken.id)
        work(each_step, mended)
        first, second = (weights(each_step, str(row(one.id).model)) for one in (whole, mended))
        assert torch.equal(first, second)

    @pytest.mark.parametrize(
        ("changes", "field"),
        [
            ({"seed": 4}, "seed"),
            ({"batch_size": 6}, "batch_size"),
            ({"iterations": 13}, "iterations"),
            ({"train_on": "train+dev"}, "train_on"),
            ({"defense": {"type": "single"}}, "defense"),
        ],
        ids=str,
    )
    def test_a_training_that_is_another_cannot_go_on_from_it(
        self,
        each_step: WorkerContext,
        submit: Submit,
        row: Row,
        diverge: Diverge,
        changes: dict[str, Any],
        field: str,
    ) -> None:
        diverge(7)
        broken = self.diverged(each_step, submit, row)
        with pytest.raises(Invalid) as refused:
            submit(**self.ASKED | changes, resume_from=broken.id)
        assert refused.value.code == "not_the_same_training"
        assert refused.value.errors[0].field == field

    def test_nor_can_one_from_a_training_that_did_not_diverge_or_is_not_there(
        self, context: WorkerContext, submit: Submit
    ) -> None:
        waiting = submit(**self.ASKED)
        with pytest.raises(Invalid) as refused:
            submit(**self.ASKED, resume_from=waiting.id)
        assert (refused.value.code, refused.value.errors[0].field) == (
            "no_checkpoint",
            "resume_from",
        )
        with pytest.raises(NotFound):
            submit(**self.ASKED, resume_from="train_01M888238JC9DS2AHRJKFBH5Z4")

    def test_that_is_deleted_before_another_begins_is_named(
        self, each_step: WorkerContext, submit: Submit, row: Row, diverge: Diverge
    ) -> None:
        diverge(7)
        broken = self.diverged(each_step, submit, row)
        diverge(0)
        mended = submit(**self.ASKED, resume_from=broken.id)
        with each_step.sessions() as session:
            deletion.delete(session, each_step.storage, broken.id, owner="local")
        work(each_step, mended)
        error = row(mended.id).error or {}
        assert error["code"] == "checkpoint_gone"
        assert broken.id in error["message"]
