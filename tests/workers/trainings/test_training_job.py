"""Trainings: exact over interruptions, told as they go, and in the registry when they succeed."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from safetensors import SafetensorError
from sqlalchemy import delete, select

from app.corpora.tables import Corpus
from app.jobs.attempts import Attempt
from app.jobs.states import JobStatus
from app.jobs.tables import Job
from app.registry import service as registry
from app.registry.tables import Model
from app.trainings.schemas import TrainingRequest, TrainingResult
from models import training
from models.architectures import ARCHITECTURES
from models.corpus.folds import Fold
from models.evaluation import Evaluation, evaluate
from models.features import Standardizer
from models.provenance import Provenance
from models.training import TrainingState
from models.training_plan import TrainingPlan
from tests.models.tiny import TinyNet
from tests.speechless import manifest, write_corpus
from tests.workers.conftest import Submit
from workers.jobs import PERFORM
from workers.runtime import progress
from workers.runtime import run as running
from workers.runtime.context import WorkerContext
from workers.runtime.progress import Stopped, Watchdog
from workers.trainings import checkpoints, progress_reporter, scores, training_job
from workers.trainings.checkpoints import Checkpoints
from workers.trainings.training_data import TrainingData, load_training_data

Row = Callable[[str], Job]
Told = Callable[[str, str], list[dict[str, Any]]]


def work(context: WorkerContext, job: Job) -> None:
    running._run(context, PERFORM, job.id)


def models(context: WorkerContext) -> list[Model]:
    with context.sessions() as session:
        return list(session.scalars(select(Model)))


@pytest.fixture
def stop_after(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Have the worker told to stop when so many iterations are done."""
    check = Watchdog.check
    progress = Watchdog.progress

    def stop_after(iterations: int) -> None:
        def tell(self: Watchdog, done: float, *rest: Any) -> None:
            if done == iterations:
                self.stop()
            progress(self, done, *rest)

        monkeypatch.setattr(Watchdog, "progress", tell)
        monkeypatch.setattr(Watchdog, "check", check)

    return stop_after


class TestTraining:
    def test_the_model_is_in_the_registry_with_its_metrics(
        self, context: WorkerContext, submit: Submit, row: Row, corpus: Corpus
    ) -> None:
        job = submit(defense={"type": "vanilla", "alpha": 0.3}, iterations=4, name="mine")
        work(context, job)
        result = row(job.id).result
        assert result is not None
        (model,) = models(context)
        assert (model.id, model.name, model.training_id) == (result["model"], "mine", job.id)
        assert row(job.id).model == model.id
        with context.sessions() as session:
            entry = registry.get(session, context.storage, model.id, owner="local")
        net, config = registry.load_entry(entry), entry.config
        assert config.labels == ("anger", "joy", "sadness")
        assert config.defense == {"type": "vanilla", "alpha": 0.3}
        run = Provenance.of(config)
        assert (run.corpus, run.corpus_name, run.training) == (corpus.id, corpus.name, job.id)
        assert (run.torch, run.device) == (torch.__version__, "cpu")
        assert run.recipe == TrainingRequest.model_validate(job.request).recipe
        assert config.metrics == result["metrics"]
        assert net.training is False

    def test_dev_and_test_are_scored_clean_and_attacked(
        self, context: WorkerContext, submit: Submit, row: Row
    ) -> None:
        job = submit(epsilon=0.03)
        work(context, job)
        result = row(job.id).result
        assert result is not None
        assert set(result["metrics"]) == {"dev", "test"}
        TrainingResult.model_validate(result)
        for scored in result["metrics"].values():
            assert scored["clips"] == 12
            assert set(scored["fgsm_uar"]) == {"0.02", "0.03", "0.04", "0.1"}
            assert 0 <= scored["clean_uar"] <= 1

    @pytest.mark.parametrize(
        ("wanted", "reported", "looked_at"),
        [
            ({"attack": {"type": "pgd", "steps": 2}, "epsilon": 0.3}, {"0.3"}, {"0.3"}),
            ({"attack": {"type": "pgd", "norm": "l2"}, "epsilon": 5}, set(), {"5"}),
            ({"defense": {"type": "trades", "steps": 2}, "epsilon": 0.05}, {"0.05"}, {"0.05"}),
            ({"defense": {"type": "pgd", "steps": 2}, "epsilon": 0}, set(), set()),
        ],
        ids=str,
    )
    def test_every_model_is_scored_under_the_same_fgsm_whatever_it_was_trained_against(
        self,
        context: WorkerContext,
        submit: Submit,
        row: Row,
        told: Told,
        wanted: dict[str, Any],
        reported: set[str],
        looked_at: set[str],
    ) -> None:
        """A radius of another norm is no ε of theirs; looks in between are at the training's."""
        job = submit(**{"defense": {"type": "vanilla"}, "evaluate_every": 2, **wanted})
        work(context, job)
        result = row(job.id).result
        assert result is not None, row(job.id).error
        for scored in result["metrics"].values():
            assert set(scored["fgsm_uar"]) == {"0.02", "0.04", "0.1"} | reported
        (look,) = told(job.id, "evaluation")
        assert set(look["fgsm_uar"]) == set(look.get("pgd_uar", {})) == looked_at

    @pytest.mark.parametrize("norm", ["linf", "l2"])
    def test_a_look_in_between_is_in_the_norm_of_the_training(
        self, context: WorkerContext, submit: Submit, norm: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[tuple[str, str, tuple[float, ...]]] = []
        real = evaluate

        def noted(*arguments: Any, **options: Any) -> Evaluation:
            attack = options["attack"]
            asked.append((attack.type, attack.norm, tuple(options["strengths"])))
            return real(*arguments, **options)

        monkeypatch.setattr(scores, "evaluate", noted)
        against = {"attack": {"type": "pgd", "steps": 2, "norm": norm}, "epsilon": 0.1}
        work(context, submit(defense={"type": "vanilla"}, evaluate_every=2, **against))
        fgsm, pgd, *finished = asked
        assert fgsm == ("fgsm", norm, (0.1,))
        assert pgd == ("pgd", norm, (0.1,))
        assert {norm for _, norm, _ in finished} == {"linf"}

    def test_while_they_are_scored_progress_is_told_in_clips(
        self, context: WorkerContext, submit: Submit, row: Row, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(progress, "REPORT_SECONDS", 0)
        monkeypatch.setattr(scores, "EVALUATION_BATCH", 5)
        told: list[tuple[float, float, str]] = []
        real = Attempt.progress

        def noted(self: Attempt, done: float, total: float, unit: str, **eta: Any) -> None:
            told.append((done, total, unit))
            real(self, done, total, unit, **eta)

        monkeypatch.setattr(Attempt, "progress", noted)
        job = submit(iterations=2, evaluate_every=0)
        work(context, job)
        steps = [(1, 2, "iterations"), (2, 2, "iterations")]
        clips = [(done, 24, "clips") for done in (0, 5, 10, 12, 12, 17, 22, 24)]
        assert told == [*steps, *clips, (2, 2, "iterations")]
        ended = row(job.id)
        assert (ended.progress_done, ended.progress_unit) == (2, "iterations")

    def test_a_training_on_train_and_dev_is_not_scored_on_dev(
        self, context: WorkerContext, submit: Submit, row: Row
    ) -> None:
        job = submit(train_on="train+dev")
        work(context, job)
        result = row(job.id).result
        assert result is not None
        assert set(result["metrics"]) == {"test"}

    def test_it_learns(self, context: WorkerContext, submit: Submit, row: Row) -> None:
        job = submit(iterations=80, batch_size=12, learning_rate=0.02, evaluate_every=0)
        work(context, job)
        result = row(job.id).result
        assert result is not None
        assert result["metrics"]["test"]["clean_uar"] > 0.8

    def test_losses_and_looks_at_dev_are_told(
        self, context: WorkerContext, submit: Submit, told: Told
    ) -> None:
        job = submit(iterations=6, evaluate_every=2, defense={"type": "similarity"})
        work(context, job)
        assert [event["iteration"] for event in told(job.id, "step")] == [1, 2, 3, 4, 5, 6]
        assert [event["adversarial"] for event in told(job.id, "step")] == [True] * 6
        looks = told(job.id, "evaluation")
        assert [(look["iteration"], look["partition"]) for look in looks] == [
            (2, "dev"),
            (4, "dev"),
        ]
        assert set(looks[0]["fgsm_uar"]) == {"0.02"}
        assert set(looks[0]["pgd_uar"]) == {"0.02"}
        assert (looks[0]["clips"], looks[0]["pgd_clips"]) == (12, 12)

    def test_looks_at_dev_are_the_history_of_the_result(
        self, context: WorkerContext, submit: Submit, row: Row, told: Told
    ) -> None:
        job = submit(iterations=6, evaluate_every=2, defense={"type": "vanilla"})
        work(context, job)
        found = TrainingResult.model_validate(row(job.id).result)
        assert [one.iteration for one in found.history] == [2, 4]
        looks = told(job.id, "evaluation")
        assert [one.model_dump() | {"partition": "dev"} for one in found.history] == looks
        assert found.overfitting is None

    def test_pgd_is_run_on_as_many_clips_as_cost_a_twentieth_of_the_training(
        self, context: WorkerContext, submit: Submit, told: Told, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """4 iterations of 4 clips, 8 passes each: 128, of which 70 % are 4 clips of PGD."""
        monkeypatch.setattr(progress_reporter, "LEAST_PGD_CLIPS", 3)
        monkeypatch.setattr(progress_reporter, "PGD_SHARE", 0.7)
        asked = {"iterations": 8, "evaluate_every": 4}
        counts = []
        for defense in ("vanilla", "single"):
            job = submit(defense={"type": defense}, **asked)
            work(context, job)
            (look,) = told(job.id, "evaluation")
            counts.append(look["pgd_clips"])
        assert counts == [4, 3]

    def test_a_long_training_tells_a_bounded_number_of_losses(
        self, context: WorkerContext, submit: Submit, told: Told, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(progress_reporter, "MOST_STEP_EVENTS", 5)
        job = submit(iterations=21, evaluate_every=0)
        work(context, job)
        assert [event["iteration"] for event in told(job.id, "step")] == [4, 8, 12, 16, 20, 21]

    def test_a_deleted_corpus_is_named(
        self, context: WorkerContext, submit: Submit, row: Row, corpus: Corpus
    ) -> None:
        job = submit()
        with context.sessions.begin() as session:
            session.execute(delete(Corpus))
        work(context, job)
        error = row(job.id).error
        assert error is not None
        assert error["code"] == "corpus_deleted"
        assert corpus.id in error["message"]

    def test_silence_cannot_be_scored_and_says_so(
        self, context: WorkerContext, submit: Submit, row: Row, corpus: Corpus
    ) -> None:
        job = submit()
        path = context.storage.corpus_dir(corpus.id) / "features.safetensors"
        data = bytearray(path.read_bytes())
        head = 8 + int.from_bytes(data[:8], "little")
        frames = 48 * 36 * 64 * 4
        data[head : head + frames] = bytes(frames)
        path.write_bytes(data)
        work(context, job)
        error = row(job.id).error
        assert error is not None
        assert error["code"] == "flat_features"

    def test_a_model_that_could_not_be_published_is_not_trained_first(
        self,
        context: WorkerContext,
        submit: Submit,
        row: Row,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """Its statistics are outside of what a configuration may hold."""
        begun: list[object] = []
        monkeypatch.setattr(training_job, "train", lambda *arguments: begun.append(arguments))

        def hardly_any_sound(*arguments: Any) -> TrainingData:
            training_data = load_training_data(*arguments)
            narrow = Standardizer(training_data.standardizer.mean, torch.full((64,), 1e-9))
            return dataclasses.replace(training_data, standardizer=narrow)

        monkeypatch.setattr(training_job, "load_training_data", hardly_any_sound)
        job = submit()
        work(context, job)
        error = row(job.id).error
        assert error is not None
        assert error["code"] == "bad_statistics"
        assert begun == []


def test_a_fold_is_learnt_without_its_speakers(tmp_path: Path) -> None:
    write_corpus(tmp_path / "corpus", manifest())
    request = TrainingRequest(corpus="its", front_end="logmel-1", fold=Fold(speaker="dev0"))
    data = load_training_data(tmp_path / "corpus", request, torch.device("cpu"))
    clips_a_speaker = len(manifest()) // len(manifest().speakers)
    assert len(data.train) == len(manifest()) - clips_a_speaker
    assert {name: len(part) for name, part in data.parts.items()} == {"test": clips_a_speaker}


class TestInterruptedTraining:
    DEFENDED: ClassVar[dict[str, Any]] = {
        "defense": {"type": "similarity"},
        "iterations": 12,
        "seed": 3,
        "evaluate_every": 5,
    }

    def test_its_losses_are_exactly_those_of_an_uninterrupted_one(
        self,
        context: WorkerContext,
        submit: Submit,
        row: Row,
        told: Told,
        stop_after: Callable[[int], None],
    ) -> None:
        whole = submit(**self.DEFENDED)
        work(context, whole)
        broken = submit(**self.DEFENDED)
        stop_after(7)
        work(context, broken)
        assert row(broken.id).status is JobStatus.QUEUED
        work(context, broken)
        assert row(broken.id).status is JobStatus.SUCCEEDED
        assert told(broken.id, "resumed") == [{"iteration": 7}]
        assert told(broken.id, "step") == told(whole.id, "step")
        assert row(broken.id).result == {
            **(row(whole.id).result or {}),
            "model": row(broken.id).model,
        }

    def test_one_that_is_stopped_while_it_looks_at_dev_looks_again(
        self, context: WorkerContext, submit: Submit, told: Told, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def stopped(*_: object, **__: object) -> None:
            raise Stopped

        job = submit(**self.DEFENDED)
        with monkeypatch.context() as patch:
            patch.setattr(progress_reporter, "look", stopped)
            work(context, job)
        work(context, job)
        assert told(job.id, "resumed") == [{"iteration": 5}]
        assert [look["iteration"] for look in told(job.id, "evaluation")] == [5, 10]

    def test_one_that_is_stopped_while_it_is_scored_does_not_train_again(
        self, context: WorkerContext, submit: Submit, told: Told, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def stopped(*_: object, **__: object) -> None:
            raise Stopped

        job = submit(evaluate_every=0)
        with monkeypatch.context() as patch:
            patch.setattr(scores, "look", stopped)
            work(context, job)
        work(context, job)
        assert told(job.id, "resumed") == [{"iteration": 4}]
        assert len(told(job.id, "step")) == 4

    def test_exactly_one_model_comes_of_it(
        self, context: WorkerContext, submit: Submit, stop_after: Callable[[int], None]
    ) -> None:
        job = submit()
        stop_after(2)
        work(context, job)
        assert models(context) == []
        work(context, job)
        work(context, job)
        assert len(models(context)) == 1

    def test_a_checkpoint_that_is_not_used_is_told_to_the_owner(
        self,
        context: WorkerContext,
        submit: Submit,
        row: Row,
        told: Told,
    ) -> None:
        """It costs what was done until then: the log alone does not reach who pays."""
        job = submit(**self.DEFENDED)
        folder = context.checkpoint_dir(job.id)
        folder.mkdir(parents=True)
        (folder / "attempt-0000.safetensors").write_bytes(b"cut off")
        work(context, job)
        ended = row(job.id)
        assert ended.status is JobStatus.SUCCEEDED
        assert told(job.id, "resumed") == []
        (warning,) = [one for one in ended.warnings if "checkpoint" in one]
        assert warning.startswith("The checkpoint attempt-0000 is not used")
        assert told(job.id, "warning") == [{"message": warning}]


class TestCheckpoints:
    def state(
        self, iteration: int, monkeypatch: pytest.MonkeyPatch, seed: int = 0
    ) -> TrainingState:
        monkeypatch.setitem(ARCHITECTURES, "tiny", TinyNet)
        state = TrainingState(
            TrainingPlan(architecture="tiny", n_classes=3, iterations=9, seed=seed)
        )
        state.iteration = iteration
        return state

    def test_the_last_attempt_with_a_whole_one_counts(
        self, context: WorkerContext, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = context.checkpoint_dir("train_01K9ZQ3W8M4V7T2X6B5N0C1DEF")
        Checkpoints(folder, 1, pytest.fail).save(self.state(4, monkeypatch))
        (folder / "attempt-0002.safetensors").write_bytes(b"cut off")
        state = self.state(0, monkeypatch)
        warnings: list[str] = []
        assert Checkpoints(folder, 3, warnings.append).restore(state)
        assert state.iteration == 4
        (warning,) = warnings
        assert warning.startswith("The checkpoint attempt-0002 is not used, and what was done")

    def test_one_of_another_plan_is_not_taken(
        self, context: WorkerContext, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = context.checkpoint_dir("train_01K9ZQ3W8M4V7T2X6B5N0C1DEF")
        Checkpoints(folder, 1, pytest.fail).save(self.state(4, monkeypatch))
        other = self.state(0, monkeypatch, seed=1)
        weights = other.net.state_dict()["classifier.weight"].clone()
        warnings: list[str] = []
        assert not Checkpoints(folder, 2, warnings.append).restore(other)
        (warning,) = warnings
        assert "belongs to another plan: it differs in seed (0 there, 1 here)" in warning
        assert torch.equal(other.net.state_dict()["classifier.weight"], weights)

    def test_those_of_earlier_attempts_are_removed_and_of_later_ones_kept(
        self, context: WorkerContext, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        folder = context.checkpoint_dir("train_01K9ZQ3W8M4V7T2X6B5N0C1DEF")
        for attempt in (1, 3, 2):
            Checkpoints(folder, attempt, pytest.fail).save(self.state(attempt, monkeypatch))
        names = sorted(path.name for path in folder.iterdir())
        assert names == ["attempt-0002.safetensors", "attempt-0003.safetensors"]

    def test_a_full_disk_costs_the_checkpoint_not_the_training(
        self, context: WorkerContext, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_: object) -> None:
            raise SafetensorError("I/O error: No space left on device (os error 28)")

        folder = context.checkpoint_dir("train_01K9ZQ3W8M4V7T2X6B5N0C1DEF")
        warnings: list[str] = []
        Checkpoints(folder, 1, warnings.append).save(self.state(4, monkeypatch))
        monkeypatch.setattr(training, "save_file", full)
        Checkpoints(folder, 2, warnings.append).save(self.state(8, monkeypatch))
        assert warnings == [checkpoints.NO_CHECKPOINT]
        assert [path.name for path in folder.iterdir()] == ["attempt-0001.safetensors"]
