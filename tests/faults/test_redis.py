"""Valkey stopped for 45 seconds, and wiped."""

import json
import time
import wave
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest
import torch
from redis import Redis

from app.corpora.tables import Corpus
from app.jobs.states import TERMINAL, JobStatus
from app.registry import service as registry
from models.architectures import build
from models.checkpoint import ModelConfig
from models.features import MELS
from tests.faults.conftest import TINY, Measure
from tests.faults.stack import ROOT, Stack, until

FROZEN_SECONDS, GONE_SECONDS = 15.0, 30.0
PATIENCE = 240.0
FOR_HOURS = 90_000

Submit = Callable[..., str]


@pytest.fixture(scope="module")
def model(stack: Stack) -> str:
    """A model of the registry that predicts."""
    torch.manual_seed(0)
    config = ModelConfig("cnn4", ("anger", "joy"), (0.0,) * MELS, (1.0,) * MELS, frames=32)
    with stack.sessions() as session:
        row = registry.publish(
            session, stack.storage, build("cnn4", 2).eval(), config, owner="local", name="test"
        )
        session.commit()
        return row.id


@pytest.fixture
def audited(stack: Stack, submit: Submit) -> str:
    """A model that knows the emotions of the corpus."""
    trained = stack.until_status(submit(iterations=2), JobStatus.SUCCEEDED, seconds=PATIENCE)
    assert trained.model is not None
    return trained.model


@pytest.fixture(scope="module")
def clip() -> bytes:
    path: Path = min((ROOT / "samples").glob("*.wav"))
    with wave.open(str(path)):
        return path.read_bytes()


@pytest.fixture
def wiped(stack: Stack) -> Iterator[Redis]:
    redis = Redis.from_url(stack.valkey.url)
    yield redis
    redis.close()


def files(stack: Stack, but: str) -> set[Path]:
    """All that is kept, but for what the job named writes meanwhile."""
    root = stack.settings.data_dir
    return {path for path in root.rglob("*") if but not in path.parts}


class TestStoppedFor45Seconds:
    def test_no_worker_exits_and_predict_answers_and_nothing_half_made_stays(
        self,
        stack: Stack,
        corpus: Corpus,
        submit: Submit,
        model: str,
        clip: bytes,
        measure: Measure,
    ) -> None:
        job_id = submit(iterations=FOR_HOURS)
        stack.until_status(job_id, JobStatus.RUNNING, seconds=PATIENCE)
        background = stack.background
        before = set(stack.unfinished()), files(stack, job_id)
        self.predict(stack, model, clip)

        stack.valkey.freeze()
        self.watch(stack, corpus, model, clip, measure, FROZEN_SECONDS)
        stack.valkey.kill()
        self.watch(stack, corpus, model, clip, measure, GONE_SECONDS)
        left = set(stack.unfinished()), files(stack, job_id)
        assert left == before, "no row and no file of a refused submission stays"
        done = stack.row(job_id).progress_done
        stack.valkey.start()

        assert all(process.running for process in background)
        assert stack.row(job_id).attempt == 1, "the running job was not disturbed"
        until(lambda: stack.row(job_id).progress_done > done, PATIENCE, "the job goes on")
        back = time.monotonic()
        later = until(lambda: self.accepted(stack, corpus), 30, "submissions are taken again")
        stack.until_status(later, JobStatus.SUCCEEDED, seconds=PATIENCE)
        measure("Valkey is back: a new job is done, s", time.monotonic() - back, 60.0)
        assert all(process.running for process in background)

    def watch(
        self,
        stack: Stack,
        corpus: Corpus,
        model: str,
        clip: bytes,
        measure: Measure,
        seconds: float,
    ) -> None:
        """Predict and submit for so long."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.predict(stack, model, clip)
            for submit in (
                partial(self.submit, stack, corpus),
                partial(self.submit_clip, stack, model, clip),
            ):
                asked = time.monotonic()
                answer = submit()
                measure("Valkey away: a submission is refused, s", time.monotonic() - asked, 5.0)
                assert answer.status_code == 503
                assert int(answer.headers["Retry-After"]) >= 1
                assert answer.headers["Content-Type"] == "application/problem+json"
            time.sleep(0.5)

    @staticmethod
    def predict(stack: Stack, model: str, clip: bytes) -> None:
        answer = stack.api.post(
            "/v1/predict",
            params={"model": model},
            content=clip,
            headers={"Content-Type": "audio/wav"},
        )
        assert answer.status_code == 200, answer.text

    @staticmethod
    def submit(stack: Stack, corpus: Corpus) -> httpx.Response:
        return stack.api.post("/v1/trainings", json={"corpus": corpus.id, **TINY, "iterations": 20})

    @staticmethod
    def submit_clip(stack: Stack, model: str, clip: bytes) -> httpx.Response:
        """An audit whose clip comes with it, and would have to go again."""
        wanted = {"model": model, "attacks": [{"type": "fgsm", "epsilon": [0.02]}]}
        return stack.api.post(
            "/v1/audits",
            files={"file": ("clip.wav", clip, "audio/wav")},
            data={"request": json.dumps(wanted)},
        )

    def accepted(self, stack: Stack, corpus: Corpus) -> str | None:
        answer = self.submit(stack, corpus)
        job_id: str | None = answer.json()["id"] if answer.status_code == 202 else None
        return job_id


class TestFlushall:
    def test_every_accepted_job_reaches_its_end(
        self,
        stack: Stack,
        corpus: Corpus,
        submit: Submit,
        audited: str,
        wiped: Redis,
        measure: Measure,
    ) -> None:
        running = [submit(iterations=2_000, seed=seed) for seed in range(2)]
        for job_id in running:
            stack.until_status(job_id, JobStatus.RUNNING, seconds=PATIENCE)
        queued = [submit(iterations=20, seed=seed) for seed in range(6)]
        audits = [self.submit_audit(stack, corpus, audited) for _ in range(4)]
        assert {stack.status(job_id) for job_id in running} == {JobStatus.RUNNING}
        assert {stack.status(job_id) for job_id in queued} == {JobStatus.QUEUED}
        assert JobStatus.QUEUED in {stack.status(job_id) for job_id in audits}
        wiped.flushall()
        at = time.monotonic()
        for job_id in running + queued + audits:
            stack.until_status(job_id, *TERMINAL, seconds=PATIENCE)
        measure("FLUSHALL: every job has ended, s", time.monotonic() - at, PATIENCE)
        ends = {stack.status(job_id) for job_id in running + queued + audits}
        assert ends == {JobStatus.SUCCEEDED}
        assert all(len(stack.models_of(job_id)) == 1 for job_id in running + queued)
        assert [stack.row(job_id).attempt for job_id in running] == [1, 1], "none was disturbed"
        assert all(process.running for process in stack.background)

    @staticmethod
    def submit_audit(stack: Stack, corpus: Corpus, model: str) -> str:
        attacks = [{"type": "fgsm", "epsilon": [0.02, 0.1]}]
        return stack.submit("/v1/audits", model=model, corpus=corpus.id, attacks=attacks)
