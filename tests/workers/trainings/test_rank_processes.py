"""A training by several processes is the training of one, and outlives a helper that dies."""

import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError

from app.jobs.states import JobStatus
from app.jobs.tables import Job
from app.trainings.schemas import TrainingRequest
from models.architectures import ARCHITECTURES
from models.training import TrainingState, train
from tests.models.tiny import TinyNet
from tests.speechless import manifest, write_corpus
from tests.workers.conftest import Submit
from workers.jobs import PERFORM
from workers.runtime import run as running
from workers.runtime.context import WorkerContext
from workers.trainings import rank_processes, training_job
from workers.trainings.rank_process import tell
from workers.trainings.rank_processes import Meeting, helped, processes
from workers.trainings.training_data import TrainingData, load_training_data

pytestmark = pytest.mark.timeout(400)
"""A helper is a process that imports all that a worker does."""

Row = Callable[[str], Job]
Told = Callable[[str, str], list[dict[str, Any]]]


@pytest.fixture(autouse=True)
def helpers_know_the_tiny_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ARCHITECTURES, "tiny", TinyNet)
    monkeypatch.setattr(rank_processes, "RANK_PROCESS", "tests.workers.trainings.tiny_rank_process")


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> "list[subprocess.Popen[bytes]]":
    """The helpers, as they are started."""
    found: list[subprocess.Popen[bytes]] = []
    real = rank_processes._started

    def noted(task: dict[str, Any]) -> "subprocess.Popen[bytes]":
        helper = real(task)
        found.append(helper)
        return helper

    monkeypatch.setattr(rank_processes, "_started", noted)
    return found


def unheard(_: object) -> None:
    """Nobody is to be told."""
    raise AssertionError("somebody was told something")


def together(context: WorkerContext, size: int) -> WorkerContext:
    """The same place, whose trainings are made by so many processes."""
    return replace(
        context, settings=context.settings.model_copy(update={"training_processes": size})
    )


class TestATraining:
    def test_by_two_processes_has_the_losses_of_one(
        self,
        context: WorkerContext,
        submit: Submit,
        row: Row,
        told: Told,
        started: "list[subprocess.Popen[bytes]]",
    ) -> None:
        how = {"defense": {"type": "vanilla"}, "adversarial_from": 1, "crafting": "fused"}
        alone, shared = (submit(**how, iterations=4, evaluate_every=2) for _ in range(2))
        running._run(context, PERFORM, alone.id)
        running._run(together(context, 2), PERFORM, shared.id)
        assert row(shared.id).status is JobStatus.SUCCEEDED, row(shared.id).error
        one, two = ([step["loss"] for step in told(job.id, "step")] for job in (alone, shared))
        assert two == pytest.approx(one, rel=1e-4)
        (helper,) = started
        assert helper.returncode is not None
        assert not list(context.checkpoint_dir(shared.id).glob("helpers-*"))

    def test_clears_away_what_a_killed_attempt_left_of_its_helpers(
        self, context: WorkerContext, submit: Submit, row: Row, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        job = submit(iterations=1, evaluate_every=0)
        left = context.checkpoint_dir(job.id) / "helpers-0000"
        left.mkdir(parents=True)
        (left / "start.safetensors").touch()
        seen: list[bool] = []

        def score(*_: object, **__: object) -> dict[str, Any]:
            seen.append(left.exists())
            return {}

        monkeypatch.setattr(training_job, "score", score)
        running._run(context, PERFORM, job.id)
        assert seen == [False]

    def test_is_made_by_one_process_where_the_disk_is_full(
        self,
        context: WorkerContext,
        submit: Submit,
        row: Row,
        started: "list[subprocess.Popen[bytes]]",
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        def full(*_: object) -> None:
            raise SafetensorError("I/O error: No space left on device (os error 28)")

        monkeypatch.setattr(TrainingState, "save", full)
        job = submit(iterations=2, evaluate_every=0)
        running._run(together(context, 2), PERFORM, job.id)
        assert row(job.id).status is JobStatus.SUCCEEDED, row(job.id).error
        assert rank_processes.NO_HELPERS in row(job.id).warnings
        assert not started


class TestAnError:
    def test_of_a_helper_that_has_a_name_is_the_training_s(
        self,
        context: WorkerContext,
        submit: Submit,
        row: Row,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        failing = "tests.workers.trainings.failing_rank_process"
        monkeypatch.setattr(rank_processes, "RANK_PROCESS", failing)
        job = submit(iterations=4, evaluate_every=0)
        running._run(together(context, 2), PERFORM, job.id)
        ended = row(job.id)
        assert (ended.status, ended.attempt) == (JobStatus.FAILED, 1)
        assert ended.error == {
            "code": "clip_damaged",
            "message": "The recording of a.wav cannot be read.",
            "details": {"n": 1},
        }

    def test_of_a_helper_fails_the_job_where_its_horse_hangs(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As it does while it waits for one that never comes."""
        monkeypatch.setattr(rank_processes, "DYING_SECONDS", 0.1)
        meeting = Meeting(tmp_path)
        tell(torch.OutOfMemoryError("CUDA out of memory"), meeting.fault(1))
        told: list[str] = []
        rank_processes._watch(
            [], meeting, threading.Event(), lambda error: told.append(error.code),
            lambda: told.append("left"),
        )  # fmt: skip
        assert told == ["out_of_memory", "left"]

    def test_without_a_name_is_not_told(self, tmp_path: Path) -> None:
        tell(RuntimeError("Connection closed by peer"), tmp_path / "fault-1.json")
        assert not list(tmp_path.iterdir())

    def test_of_memory_in_the_horse_is_no_broken_connection(
        self, context: WorkerContext, submit: Submit, row: Row, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(*_: object, **__: object) -> None:
            raise torch.OutOfMemoryError("CUDA out of memory")

        def never(*_: object) -> None:
            raise AssertionError("it waited for a helper to die")

        monkeypatch.setattr(training_job, "train", full)
        monkeypatch.setattr(rank_processes, "_tell_apart", never)
        job = submit(iterations=4, evaluate_every=0)
        running._run(together(context, 2), PERFORM, job.id)
        assert (row(job.id).error or {})["code"] == "out_of_memory"


class TestAHelperThatDies:
    def test_takes_the_horse_with_it_so_that_the_job_goes_on_elsewhere(
        self, started: "list[subprocess.Popen[bytes]]", tmp_path: Path
    ) -> None:
        request, data = self.material(tmp_path)
        state = TrainingState(request.plan(3))
        left: list[float] = []

        def kill(_: object) -> None:
            started[0].kill()

        with (
            pytest.raises(RuntimeError),
            helped(
                2, state, request, tmp_path / "corpus", Meeting(tmp_path / "helpers-0001"), {},
                warn=unheard, fail=unheard, leave=lambda: left.append(time.monotonic()),
            ) as ranks,
        ):  # fmt: skip
            train(state, data.train, data.standardizer, kill, ranks=ranks)
        assert left
        assert not list(tmp_path.glob("helpers-*"))

    def test_at_its_start_leaves_none_behind_that_was_started_before(
        self,
        started: "list[subprocess.Popen[bytes]]",
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        request, _ = self.material(tmp_path)
        real = rank_processes._started

        def one_alone(task: dict[str, Any]) -> "subprocess.Popen[bytes]":
            if task["rank"] == 2:
                raise OSError("no more processes")
            return real(task)

        monkeypatch.setattr(rank_processes, "_started", one_alone)
        with (
            pytest.raises(OSError, match="no more processes"),
            helped(
                4, TrainingState(request.plan(3)), request, tmp_path / "corpus",
                Meeting(tmp_path / "helpers-0001"), {}, warn=unheard, fail=unheard,
            ),
        ):  # fmt: skip
            pass
        (helper,) = started
        assert helper.returncode is not None
        assert not list(tmp_path.glob("helpers-*"))

    def test_and_it_dies_itself_where_its_horse_is_gone(self) -> None:
        helper = rank_processes._started({"parent": 1})  # not the process that starts it
        assert helper.wait(timeout=300) == 1

    def material(self, folder: Path) -> tuple[TrainingRequest, TrainingData]:
        """A training, and what it needs of its corpus."""
        write_corpus(folder / "corpus", manifest())
        request = TrainingRequest(
            corpus="corpus_x",
            architecture="tiny",
            iterations=3,
            front_end="logmel-1",
            batch_size=4,
            frames=32,
        )
        return request, load_training_data(folder / "corpus", request, torch.device("cpu"))


class TestProcesses:
    @pytest.mark.parametrize(
        ("wanted", "batch_size", "made"),
        [(1, 16, 1), (2, 16, 2), (3, 16, 2), (7, 12, 6), (4, 7, 1), (0, 16, 1), (64, 16, 16)],
    )
    def test_share_a_batch_equally(self, wanted: int, batch_size: int, made: int) -> None:
        assert processes(wanted, batch_size, torch.device("cpu")) == made

    @pytest.mark.parametrize(
        ("wanted", "device", "made"),
        [(0, "cuda", 4), (2, "cuda", 2), (8, "cuda", 4), (8, "cuda:1", 1), (0, "cuda:1", 1)],
    )
    def test_are_no_more_than_there_are_gpus(
        self, wanted: int, device: str, made: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
        assert processes(wanted, 16, torch.device(device)) == made
