"""Trainings that vary their recordings, from the request to the model."""

import shutil
from typing import Any

import pytest

from app.corpora import service as corpora
from app.corpora.importing import audio_file
from app.corpora.tables import Corpus
from app.errors import Invalid
from app.jobs.states import JobStatus
from app.jobs.tables import Job
from app.registry import service as registry
from app.trainings.schemas import TrainingRequest
from app.trainings.service import submission
from models.architectures import ARCHITECTURES
from models.audio import level_range
from models.checkpoint import ModelConfig
from models.corpus.conditions import CONDITIONS_NAME, read_conditions
from tests import spoken
from tests.models.tiny import TinyNet
from tests.recorded import record
from workers.jobs import PERFORM
from workers.runtime import run as running
from workers.runtime.context import WorkerContext

AUGMENT: list[dict[str, Any]] = [
    {"type": "gain", "db": [-20, 6]},
    {"type": "silence", "seconds": [0.1]},
    {"type": "noise", "snr_db": [20, 30]},
]


@pytest.fixture
def corpus(context: WorkerContext, monkeypatch: pytest.MonkeyPatch) -> Corpus:
    monkeypatch.setitem(ARCHITECTURES, "tiny", TinyNet)
    with context.sessions() as session:
        return spoken.add_corpus(session, context.storage, context.settings)


def submit(context: WorkerContext, corpus: Corpus, **wanted: Any) -> Job:
    small = {"architecture": "tiny", "iterations": 3, "batch_size": 4, "frames": 32}
    request = TrainingRequest.model_validate({"corpus": corpus.id, **small, **wanted})
    with context.sessions() as session:
        wanted_job = submission(session, context.storage, context.settings, request, owner="local")
        return record(session, wanted_job)


def trained(context: WorkerContext, job_id: str) -> ModelConfig:
    running._run(context, PERFORM, job_id)
    with context.sessions() as session:
        job = session.get_one(Job, job_id)
        assert job.status == JobStatus.SUCCEEDED, job.error
        assert job.result is not None
        return registry.get(session, context.storage, job.result["model"], owner="local").config


def test_the_model_says_what_it_heard_and_what_was_varied(
    context: WorkerContext, corpus: Corpus
) -> None:
    config = trained(context, submit(context, corpus, augment=AUGMENT).id)
    assert config.front_end == "logmel-2"
    recipe = config.training["recipe"]
    assert [one["type"] for one in recipe["augment"]] == ["gain", "silence", "noise"]


def test_the_same_request_gives_the_same_statistics_and_metrics(
    context: WorkerContext, corpus: Corpus
) -> None:
    first = trained(context, submit(context, corpus, augment=AUGMENT, seed=3).id)
    second = trained(context, submit(context, corpus, augment=AUGMENT, seed=3).id)
    assert (first.mean, first.std, first.metrics) == (second.mean, second.std, second.metrics)


def test_varied_recordings_have_other_statistics(context: WorkerContext, corpus: Corpus) -> None:
    plain = trained(context, submit(context, corpus).id)
    varied = trained(context, submit(context, corpus, augment=AUGMENT, augment_share=1.0).id)
    assert plain.mean != varied.mean


class TestLevels:
    def test_of_a_front_end_that_hears_them_are_those_of_what_was_learnt_from(
        self, context: WorkerContext, corpus: Corpus
    ) -> None:
        config = trained(context, submit(context, corpus, front_end="logmel-1").id)
        folder = context.storage.corpus_dir(corpus.id)
        known = read_conditions(folder, corpus.clips) or ()
        learnt = [
            one.level_dbfs
            for clip, one in zip(corpora.read_manifest(folder), known, strict=True)
            if clip.split == "train"
        ]
        assert config.levels_dbfs == level_range(learnt)

    def test_a_gain_in_training_moves_them(self, context: WorkerContext, corpus: Corpus) -> None:
        quieter = [{"type": "gain", "db": [-6]}]
        asked = {"front_end": "logmel-1", "augment_share": 1.0}
        plain = trained(context, submit(context, corpus, **asked).id).levels_dbfs
        varied = trained(context, submit(context, corpus, augment=quieter, **asked).id).levels_dbfs
        assert plain is not None
        assert varied == pytest.approx((plain[0] - 6, plain[1] - 6), abs=0.15)

    def test_of_a_corpus_from_before_conditions_they_are_heard_in_its_recordings(
        self, context: WorkerContext, corpus: Corpus
    ) -> None:
        known = trained(context, submit(context, corpus, front_end="logmel-1").id).levels_dbfs
        folder = context.storage.corpus_dir(corpus.id)
        (folder / CONDITIONS_NAME).unlink()
        heard = trained(context, submit(context, corpus, front_end="logmel-1").id).levels_dbfs
        assert known is not None
        assert heard == pytest.approx(known, abs=0.11)
        shutil.rmtree(folder / "audio")
        assert (
            trained(context, submit(context, corpus, front_end="logmel-1").id).levels_dbfs is None
        )

    def test_of_a_front_end_that_does_not_hear_them_are_its_own(
        self, context: WorkerContext, corpus: Corpus
    ) -> None:
        assert trained(context, submit(context, corpus).id).levels_dbfs == (-75.0, 20.0)


class TestNoises:
    """A training that varies its recordings with those of another corpus."""

    def test_are_heard(self, context: WorkerContext, corpus: Corpus) -> None:
        noisy = [{"type": "background", "corpus": corpus.id, "snr_db": [0]}]
        asked = {"augment_share": 1.0, "seed": 3}
        plain = trained(context, submit(context, corpus, **asked).id)
        varied = trained(context, submit(context, corpus, augment=noisy, **asked).id)
        again = trained(context, submit(context, corpus, augment=noisy, **asked).id)
        assert plain.mean != varied.mean
        assert (varied.mean, varied.metrics) == (again.mean, again.metrics)

    def test_of_a_corpus_that_is_not_there_are_refused_by_name(
        self, context: WorkerContext, corpus: Corpus
    ) -> None:
        noisy = [{"type": "background", "corpus": "corpus_none", "snr_db": [0]}]
        with pytest.raises(Invalid) as refused:
            submit(context, corpus, augment=noisy)
        assert refused.value.code == "unknown_corpus"
        assert refused.value.errors[0].field == "augment.0.corpus"


def test_a_training_of_before_front_ends_stays_what_it_was() -> None:
    stored = TrainingRequest(corpus="its").to_request()
    del stored["front_end"]
    assert TrainingRequest.of_stored(stored).front_end == "logmel-1"
    assert TrainingRequest.of_stored(stored | {"front_end": "logmel-2"}).front_end == "logmel-2"


def test_recordings_that_are_gone_are_refused_by_name(
    context: WorkerContext, corpus: Corpus
) -> None:
    folder = context.storage.corpus_dir(corpus.id)
    manifest = corpora.read_manifest(folder)
    audio_file(folder, 0, manifest.clips[0]).unlink()
    with pytest.raises(Invalid) as refused:
        submit(context, corpus, augment=AUGMENT)
    assert refused.value.code == "no_recordings"
    submit(context, corpus)  # features are enough without
