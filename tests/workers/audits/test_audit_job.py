"""Audits, from the queued row to the last artifact."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from fastapi.testclient import TestClient
from redis import Redis
from safetensors.torch import load, load_file
from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from app.audits import files, fit, hardening
from app.audits.result import AuditResult
from app.audits.rows import OFFSET_BYTES
from app.audits.schemas import Harden
from app.corpora.tables import Corpus
from app.errors import NotFound
from app.jobs.attempts import Attempt, claim
from app.jobs.queue import brief_client
from app.jobs.states import JobKind, JobStatus
from app.jobs.tables import Job
from app.registry.tables import Model
from app.settings import Settings
from models.architectures import ARCHITECTURES
from models.attacks import gradient
from models.audio import decode
from models.corpus.index import INDEX_NAME
from models.features import LogMel, tile
from tests import spoken
from workers.audits import audit_job, exhibits, pictures
from workers.jobs import PERFORM
from workers.runtime import progress
from workers.runtime.context import WorkerContext
from workers.runtime.progress import Stopped, Watchdog
from workers.runtime.run import configure, run
from workers.trainings import training_job

GRID = [0, 0.02, 0.4, 0.6]
HARDEN = {
    "defense": {"type": "vanilla"},
    "when": {"epsilon": 0.6, "success_rate_above": 0.1},
    "iterations": 3,
    "batch_size": 4,
}


@pytest.fixture
def context(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[WorkerContext]:
    monkeypatch.setitem(ARCHITECTURES, spoken.ARCHITECTURE, spoken.Ear)
    redis: Redis = brief_client(settings.redis_url, timeout_seconds=1)
    made = WorkerContext.open(settings.model_copy(update={"audit_batch": 4}), redis)
    configure(made, PERFORM)
    yield made
    made.engine.dispose()


@pytest.fixture(autouse=True)
def quick_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """What they show is in test_pictures.py; to draw them takes longer than to audit."""
    for name in ("spectrogram_pair", "uar_curve"):
        monkeypatch.setattr(exhibits, name, lambda *_, **__: b"\x89PNG")


@pytest.fixture
def corpus(context: WorkerContext, session: Session) -> Corpus:
    return spoken.add_corpus(session, context.storage, context.settings)


@pytest.fixture
def model(context: WorkerContext, session: Session) -> str:
    return spoken.add_model(session, context.storage)


def request(model: str, corpus: Corpus, **more: Any) -> dict[str, Any]:
    attack = {"type": "fgsm", "epsilon": GRID}
    return {"model": model, "corpus": corpus.id, "attacks": [attack], **more}


def submit(client: TestClient, body: dict[str, Any]) -> str:
    answer = client.post("/v1/audits", json=body)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["id"])


def done(client: TestClient, job_id: str) -> dict[str, Any]:
    """The audit, after it was run here."""
    run(job_id)
    job: dict[str, Any] = client.get(f"/v1/audits/{job_id}").json()
    assert job["status"] == "succeeded", job["error"]
    return job


def findings(context: WorkerContext, job_id: str, attempt: int = 1) -> Path:
    return files.attempt_dir(context.storage, job_id, attempt)


class TestResult:
    def test_has_the_figures_of_each_strength(
        self, client: TestClient, model: str, corpus: Corpus
    ) -> None:
        job = done(client, submit(client, request(model, corpus)))
        result = job["result"]
        AuditResult.model_validate(result)
        assert result["n"] == 18
        assert result["clean"]["uar"] == 1
        assert result["clean"]["recall"] == {"anger": 1, "joy": 1, "sadness": 1}
        assert [point["epsilon"] for point in result["curve"]] == GRID
        weakest, *_, strongest = result["curve"]
        assert weakest["success_rate"] == 0
        assert weakest["uar"] == result["clean"]["uar"]
        assert strongest["success_rate"] > 0
        assert strongest["uar"] < 1
        assert sum(strongest["counts"].values()) == 18
        assert 0 <= strongest["survives_as_audio"] <= 1
        assert strongest["snr_db"] > 0

    def test_progress_ends_with_all_clips(
        self, client: TestClient, model: str, corpus: Corpus
    ) -> None:
        job = done(client, submit(client, request(model, corpus)))
        assert job["progress"] == {"done": 18, "total": 18, "unit": "clips", "eta_seconds": None}
        events = client.get(f"/v1/audits/{job['id']}/events").json()["data"]
        kinds = [event["type"] for event in events]
        assert kinds[:2] == ["queued", "running"]
        assert kinds[-1] == "succeeded"
        assert "scored" in kinds

    def test_while_pictures_and_sounds_are_made_progress_is_told_of_them(
        self, client: TestClient, model: str, corpus: Corpus, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(progress, "REPORT_SECONDS", 0)
        told: list[tuple[float, float, str]] = []
        real = Attempt.progress

        def noted(self: Attempt, done: float, total: float, unit: str) -> None:
            told.append((done, total, unit))
            real(self, done, total, unit)

        monkeypatch.setattr(Attempt, "progress", noted)
        done(client, submit(client, request(model, corpus)))
        scored = [(clips, 18, "clips") for clips in (0, 4, 8, 12, 16, 18)]
        made = [(shown, 8, "exhibits") for shown in range(9)]
        assert told == [*scored, *made, (18, 18, "clips")]

    def test_a_limit_takes_so_many_of_each_emotion(
        self, client: TestClient, model: str, corpus: Corpus, context: WorkerContext
    ) -> None:
        body = request(model, corpus, partition="all", limit=9, seed=3)
        job = done(client, submit(client, body))
        path = findings(context, job["id"]) / files.ROWS
        rows = spoken.lines(path)
        assert [row["label"] for row in rows].count("joy") == 3
        assert len(path.with_suffix(".index").read_bytes()) == 9 * OFFSET_BYTES
        assert job["result"]["n"] == 9

    def test_clips_of_strange_emotions_are_left_out_with_a_warning(
        self, client: TestClient, corpus: Corpus, context: WorkerContext, session: Session
    ) -> None:
        model = spoken.add_model(session, context.storage, labels=("anger", "joy", "calm"))
        job = done(client, submit(client, request(model, corpus)))
        assert job["result"]["n"] == 12
        assert job["result"]["clean"]["recall"]["calm"] is None
        assert job["warnings"] == [
            "Clips of emotions that the model does not know are left out: sadness (6 clips)."
        ]

    def test_what_cannot_be_done_any_more_fails_and_says_why(
        self, client: TestClient, model: str, corpus: Corpus, context: WorkerContext
    ) -> None:
        job_id = submit(client, request(model, corpus))
        for path in context.storage.corpus_dir(corpus.id).glob("features*"):
            path.write_bytes(b"")
        run(job_id)
        job = client.get(f"/v1/audits/{job_id}").json()
        assert job["status"] == "failed"
        assert job["error"]["code"] == "bad_features"


class TestWhatCannotBeAttacked:
    """A model that gives no gradient, or no scores, must not pass for a robust one."""

    def test_saturated_scores_are_told_with_their_number(
        self, client: TestClient, corpus: Corpus, context: WorkerContext, session: Session
    ) -> None:
        steep = spoken.add_model(session, context.storage, steepness=1e4)
        job = done(client, submit(client, request(steep, corpus, harden=HARDEN)))
        assert [point["no_gradient"] for point in job["result"]["curve"]] == [0, 18, 18, 18]
        assert job["result"]["hardening"]["success_rate"] == 0
        (warning,) = job["warnings"]
        assert warning.startswith("On 18 of 18 clips fgsm had no gradient")
        assert "understate" in warning
        assert "last layer" in warning

    def test_dividing_the_last_layer_as_the_warning_says_brings_the_gradient_back(
        self, client: TestClient, model: str, corpus: Corpus
    ) -> None:
        job = done(client, submit(client, request(model, corpus)))
        assert [point["no_gradient"] for point in job["result"]["curve"]] == [0, 0, 0, 0]
        assert job["result"]["curve"][-1]["success_rate"] > 0
        assert job["warnings"] == []

    def test_a_model_that_understates_its_deviations_is_told_from_a_robust_one(
        self,
        client: TestClient,
        model: str,
        corpus: Corpus,
        context: WorkerContext,
        session: Session,
    ) -> None:
        """The same function of the speech, of which ε is a fiftieth as much."""
        sly = spoken.add_model(session, context.storage, understated=50)
        honest, robust = (
            done(client, submit(client, request(one, corpus))) for one in (model, sly)
        )
        assert robust["result"]["clean"] == honest["result"]["clean"]
        assert (
            robust["result"]["curve"][-1]["success_rate"]
            < honest["result"]["curve"][-1]["success_rate"]
        )
        assert robust["result"]["scale"]["median"] == pytest.approx(
            50 * honest["result"]["scale"]["median"], rel=0.01
        )
        assert honest["warnings"] == []
        (warning,) = robust["warnings"]
        assert warning.startswith("An ε counts the deviations")
        assert f"by {robust['result']['scale']['median']:g} of them" in warning

    def test_scores_that_are_no_numbers_fail_the_audit(
        self, client: TestClient, corpus: Corpus, context: WorkerContext, session: Session
    ) -> None:
        broken = spoken.add_model(session, context.storage, steepness=2e38)
        job_id = submit(client, request(broken, corpus))
        run(job_id)
        job = client.get(f"/v1/audits/{job_id}").json()
        assert job["status"] == "failed"
        assert job["error"]["code"] == "non_finite_scores"
        assert "its weights overflow" in job["error"]["message"]
        assert job["result"] is None


class TestUploads:
    def upload(self, client: TestClient, model: str, labels: list[str | None] | None) -> str:
        clips = [("anger", 0.5), ("joy", 0.3), ("sadness", 2.0)]
        parts = [
            ("file", (f"{emotion}.wav", spoken.wav(emotion, 3, seconds), "audio/wav"))
            for emotion, seconds in clips
        ]
        attacks = [{"type": "fgsm", "epsilon": [0.6]}]
        body = {"model": model, "attacks": attacks, "labels": labels}
        answer = client.post("/v1/audits", files=parts, data={"request": json.dumps(body)})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def test_are_audited_in_their_order(
        self, client: TestClient, model: str, context: WorkerContext
    ) -> None:
        job = done(client, self.upload(client, model, ["anger", "joy", "sadness"]))
        assert job["result"]["clean"]["uar"] == 1
        rows = spoken.lines(findings(context, job["id"]) / files.ROWS)
        assert [row["clip"] for row in rows] == ["anger.wav", "joy.wav", "sadness.wav"]

    def test_a_long_clip_is_cut_with_a_warning(self, client: TestClient, model: str) -> None:
        job = done(client, self.upload(client, model, ["anger", "joy", "sadness"]))
        assert job["warnings"] == [
            "1 of 3 clips are longer than the model's window of 0.6 s: their first part is audited."
        ]

    def test_without_labels_a_changed_prediction_is_the_success(
        self, client: TestClient, model: str
    ) -> None:
        job = done(client, self.upload(client, model, None))
        (point,) = job["result"]["curve"]
        assert job["result"]["clean"]["uar"] is None
        assert point["uar"] is None
        assert point["success_rate"] == point["unlabelled"]["flip_rate"]
        AuditResult.model_validate(job["result"])
        assert point["counts"]["wrong_wrong"] == point["counts"]["wrong_right"] == 0
        assert any("No clip has a label" in warning for warning in job["warnings"])
        names = [one["name"] for one in client.get(job["urls"]["artifacts"]).json()["data"]]
        assert "uar-curve.png" in names


class TestArtifacts:
    @pytest.fixture
    def job(self, client: TestClient, model: str, corpus: Corpus) -> dict[str, Any]:
        return done(client, submit(client, request(model, corpus)))

    def test_are_what_the_list_says(self, job: dict[str, Any], context: WorkerContext) -> None:
        folder = findings(context, job["id"])
        listed = files.read_artifacts(folder)
        assert {one["name"] for one in listed} == {
            path.name for path in (folder / files.ARTIFACTS).iterdir()
        }
        for one in listed:
            content = (folder / files.ARTIFACTS / one["name"]).read_bytes()
            assert hashlib.sha256(content).hexdigest() == one["sha256"]
            assert len(content) == one["bytes"]
            assert files.is_artifact(one["name"])

    def test_pictures_are_png(
        self,
        client: TestClient,
        model: str,
        corpus: Corpus,
        context: WorkerContext,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        for name in ("spectrogram_pair", "uar_curve"):
            monkeypatch.setattr(exhibits, name, getattr(pictures, name))
        job = done(client, submit(client, request(model, corpus)))
        folder = findings(context, job["id"]) / files.ARTIFACTS
        names = sorted(path.name for path in folder.glob("*.png"))
        assert names == [*(f"figure2-{n}.png" for n in range(1, 5)), "uar-curve.png"]
        assert all(path.read_bytes().startswith(b"\x89PNG\r\n") for path in folder.glob("*.png"))

    def test_log_mels_are_within_their_budget_and_score_as_the_rows_say(
        self, job: dict[str, Any], context: WorkerContext
    ) -> None:
        folder = findings(context, job["id"])
        rows = spoken.lines(folder / files.ROWS)
        kept = load_file(folder / files.ARTIFACTS / files.LOG_MELS)
        net, config = spoken.ear()
        for number, epsilon in enumerate(GRID):
            x_adv = kept[f"adversarial.{number + 1:02d}"]
            assert float((x_adv - kept["clean"]).abs().max()) <= epsilon + 1e-6
            scored = net(x_adv).argmax(dim=1).tolist()
            told = [rows[i]["adversarial"][number]["label"] for i in kept["index"].tolist()]
            assert [config.labels[label] for label in scored] == told

    def test_sounds_score_as_the_rows_say(
        self, job: dict[str, Any], context: WorkerContext
    ) -> None:
        folder = findings(context, job["id"])
        rows = spoken.lines(folder / files.ROWS)
        net, config = spoken.ear()
        sounds = sorted((folder / files.ARTIFACTS).glob("adversarial-*.wav"))
        assert sounds
        for path in sounds:
            _, index, point = path.stem.split("-")
            heard = LogMel()(torch.from_numpy(decode(path.read_bytes()).samples))
            x = config.standardizer(tile(heard, spoken.FRAMES))
            row: Any = rows[int(index)]
            said = config.labels[int(net(x[None]).argmax())]
            assert row["adversarial"][int(point) - 1]["audio"]["label"] == said

    def test_a_clips_own_sound_lies_beside_them(
        self, job: dict[str, Any], context: WorkerContext
    ) -> None:
        folder = findings(context, job["id"]) / files.ARTIFACTS
        clean = min(folder.glob("clean-*.wav"))
        row: Any = spoken.lines(folder.parent / files.ROWS)[int(clean.stem[-6:])]
        speaker, name = row["clip"].split("/")
        emotion, take = name.removesuffix(".wav").split("-")
        seed = 100 * spoken.SPEAKERS.index(speaker) + int(take)
        own = decode(spoken.wav(emotion, seed, 0.4 + 0.1 * int(take))).samples
        assert (decode(clean.read_bytes()).samples == own).all()

    def test_sounds_and_log_mels_may_be_left_out(
        self, client: TestClient, model: str, corpus: Corpus, context: WorkerContext
    ) -> None:
        job = done(client, submit(client, request(model, corpus, save_adversarial=False)))
        made = {one["name"] for one in files.read_artifacts(findings(context, job["id"]))}
        assert made == {"uar-curve.png", *(f"figure2-{n}.png" for n in range(1, 5))}

    def test_are_no_more_than_the_settings_allow(
        self, client: TestClient, model: str, corpus: Corpus, context: WorkerContext
    ) -> None:
        few = context.settings.model_copy(update={"max_saved_wavs": 3, "max_saved_clips": 2})
        configure(replace(context, settings=few), PERFORM)
        job = done(client, submit(client, request(model, corpus)))
        folder = findings(context, job["id"]) / files.ARTIFACTS
        assert len(list(folder.glob("*.wav"))) <= 3
        assert len(load((folder / files.LOG_MELS).read_bytes())["clean"]) == 2

    def test_the_report_tells_all_that_is_needed_to_do_it_again(
        self, job: dict[str, Any], context: WorkerContext, model: str
    ) -> None:
        report = json.loads((findings(context, job["id"]) / files.REPORT).read_bytes())
        assert report["result"] == job["result"]
        assert report["request"] == job["input"]
        assert report["model"]["id"] == model
        assert len(report["model"]["sha256"]) == 64
        assert report["clips"]["partition"] == "test"
        assert report["environment"]["torch"] == torch.__version__


class TestResuming:
    def test_rows_are_scored_once_and_are_those_of_an_uninterrupted_audit(
        self,
        client: TestClient,
        model: str,
        corpus: Corpus,
        context: WorkerContext,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        whole = findings(context, done(client, submit(client, request(model, corpus)))["id"])
        batches: list[int] = []
        real = gradient.input_gradient

        def counted(net: Any, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            batches.append(len(x))
            if len(batches) == 3:
                raise Stopped
            return real(net, x, y)

        monkeypatch.setattr(import_module("models.attacks.fgsm"), "input_gradient", counted)
        monkeypatch.setattr(exhibits, "make", _no_exhibits)
        job_id = submit(client, request(model, corpus))
        run(job_id)
        assert client.get(f"/v1/audits/{job_id}").json()["status"] == "queued"
        written = context.checkpoint_dir(job_id) / "rows-0001.jsonl"
        assert len(spoken.lines(written)) == 8
        with written.open("ab") as file:
            file.write(b'{"index":8,"clip":"torn')
        job = done(client, job_id)
        assert job["attempt"] == 2
        assert batches == [4, 4, 4, 4, 4, 2]
        again = findings(context, job_id, attempt=2)
        assert (again / files.ROWS).read_bytes() == (whole / files.ROWS).read_bytes()
        events = client.get(f"/v1/audits/{job_id}/events").json()["data"]
        assert {"clips": 8} in [event["data"] for event in events if event["type"] == "resumed"]

    def test_what_had_no_gradient_is_counted_over_all_attempts(
        self,
        client: TestClient,
        corpus: Corpus,
        context: WorkerContext,
        session: Session,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """The clips that an earlier attempt scored are taken from its rows."""
        steep = spoken.add_model(session, context.storage, steepness=1e4)
        whole = done(client, submit(client, request(steep, corpus)))
        calls: list[int] = []
        real = gradient.input_gradient

        def stopping(net: Any, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            calls.append(len(x))
            if len(calls) == 3:
                raise Stopped
            return real(net, x, y)

        monkeypatch.setattr(import_module("models.attacks.fgsm"), "input_gradient", stopping)
        monkeypatch.setattr(exhibits, "make", _no_exhibits)
        job_id = submit(client, request(steep, corpus))
        run(job_id)
        job = done(client, job_id)
        assert job["attempt"] == 2
        assert [point["no_gradient"] for point in job["result"]["curve"]] == [0, 18, 18, 18]
        assert (job["result"], job["warnings"]) == (whole["result"], whole["warnings"])

    def test_rows_of_another_audit_are_not_taken_over(
        self, client: TestClient, model: str, corpus: Corpus, context: WorkerContext
    ) -> None:
        job_id = submit(client, request(model, corpus))
        folder = context.checkpoint_dir(job_id)
        folder.mkdir(parents=True)
        row = {"index": 0, "clip": "x", "label": None, "clean": {}, "adversarial": []}
        (folder / "rows-0000.jsonl").write_text(json.dumps(row) + "\n")
        assert done(client, job_id)["result"]["n"] == 18

    def test_what_an_attempt_left_that_never_succeeded_is_removed(
        self, client: TestClient, model: str, corpus: Corpus, context: WorkerContext
    ) -> None:
        job_id = submit(client, request(model, corpus))
        findings(context, job_id, attempt=0).mkdir(parents=True)
        done(client, job_id)
        assert not findings(context, job_id, attempt=0).exists()

    def test_it_stops_between_two_batches_when_asked_to(
        self, client: TestClient, model: str, corpus: Corpus, context: WorkerContext
    ) -> None:
        job_id = submit(client, request(model, corpus))
        attempt = claim(context.sessions, job_id)
        assert attempt is not None
        watchdog = Watchdog(attempt, time_limit_seconds=60)
        watchdog.stop()
        with pytest.raises(Stopped):
            audit_job.perform(context, attempt, watchdog)


def _no_exhibits(*arguments: Any, **_: Any) -> list[dict[str, Any]]:
    """Those that are made would attack again."""
    arguments[5].mkdir()
    return []


class TestHarden:
    def trainings(self, session: Session) -> list[Job]:
        query = select(Job).where(Job.kind == JobKind.TRAINING)
        return list(session.scalars(query.execution_options(populate_existing=True)))

    def test_a_strong_model_is_left_alone(
        self, client: TestClient, model: str, corpus: Corpus, session: Session
    ) -> None:
        harden = HARDEN | {"when": {"epsilon": 0.02, "success_rate_above": 0.9}}
        job = done(client, submit(client, request(model, corpus, harden=harden)))
        assert job["result"]["hardening"]["triggered"] is False
        assert job["result"]["hardening"]["success_rate"] <= 0.9
        assert not self.trainings(session)

    def test_a_weak_one_is_trained_anew_and_audited_again(
        self, client: TestClient, model: str, corpus: Corpus, session: Session
    ) -> None:
        body = request(model, corpus, harden=HARDEN, metadata={"ticket": 7})
        first = done(client, submit(client, body))
        (training,) = self.trainings(session)
        assert first["result"]["hardening"]["training"] == training.id
        assert first["result"]["hardening"]["audit"] is None
        AuditResult.model_validate(first["result"])
        assert first["model"] == model
        assert first["urls"]["caused"] == [f"/v1/trainings/{training.id}"]
        assert training.status is JobStatus.QUEUED
        assert training.request["architecture"] == spoken.ARCHITECTURE
        assert training.request["epsilon"] == 0.6
        assert training.request["frames"] == spoken.FRAMES
        assert training.metadata_ == {"ticket": 7}

        run(training.id)
        trained = client.get(f"/v1/trainings/{training.id}").json()
        assert trained["status"] == "succeeded", trained["error"]
        first = client.get(f"/v1/audits/{first['id']}").json()
        second_id = first["result"]["hardening"]["audit"]
        assert trained["urls"]["caused"] == [f"/v1/audits/{second_id}"]
        assert trained["urls"]["caused_by"] == f"/v1/audits/{first['id']}"

        second = done(client, second_id)
        assert second["model"] == trained["model"] == trained["result"]["model"]
        assert second["input"] == first["input"] | {"model": trained["model"], "harden": None}
        assert second["urls"]["caused_by"] == f"/v1/trainings/{training.id}"
        assert second["metadata"] == {"ticket": 7}
        assert "hardening" not in second["result"]
        report = client.get(f"/v1/audits/{first['id']}/report").json()
        assert report["result"] == first["result"], "the report names all three, too"

    def test_a_worker_that_ends_its_job_again_as_the_answer_was_lost_makes_one_child(
        self,
        client: TestClient,
        model: str,
        corpus: Corpus,
        session: Session,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        succeed, ends = Attempt.succeed, Counter[str]()

        def end(self: Attempt, *given: Any, **named: Any) -> None:
            ends[self.job_id] += 1
            succeed(self, *given, **named)  # is committed, and then
            if ends[self.job_id] == 1:
                lost = Exception("the connection is lost")
                raise OperationalError("COMMIT", {}, lost, connection_invalidated=True)

        monkeypatch.setattr(Attempt, "succeed", end)
        first = done(client, submit(client, request(model, corpus, harden=HARDEN)))
        (training,) = self.trainings(session)
        run(training.id)
        trained = client.get(f"/v1/trainings/{training.id}").json()
        assert trained["status"] == "succeeded", trained["error"]
        assert ends == {first["id"]: 2, training.id: 2}
        assert first["urls"]["caused"] == [f"/v1/trainings/{training.id}"]
        first = client.get(f"/v1/audits/{first['id']}").json()
        assert trained["urls"]["caused"] == [f"/v1/audits/{first['result']['hardening']['audit']}"]
        made = session.scalars(select(Model.id).where(Model.training_id == training.id)).all()
        assert made == [trained["model"]]

    def test_the_second_audit_says_if_the_new_model_knows_the_clips(
        self, client: TestClient, model: str, corpus: Corpus, session: Session
    ) -> None:
        body = request(model, corpus, harden=HARDEN, partition="all")
        first = done(client, submit(client, body))
        assert first["warnings"] == []
        run(self.trainings(session)[0].id)
        second_id = client.get(f"/v1/audits/{first['id']}").json()["result"]["hardening"]["audit"]
        (warning,) = client.get(f"/v1/audits/{second_id}").json()["warnings"]
        assert "was trained on train of this corpus" in warning

    def test_a_corpus_that_is_damaged_meanwhile_costs_a_warning_not_the_training(
        self,
        client: TestClient,
        model: str,
        corpus: Corpus,
        session: Session,
        context: WorkerContext,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        done(client, submit(client, request(model, corpus, harden=HARDEN)))
        real = training_job.score

        def damage(*arguments: Any) -> dict[str, Any]:
            (context.storage.corpus_dir(corpus.id) / INDEX_NAME).write_bytes(b"\xff")
            return real(*arguments)

        monkeypatch.setattr(training_job, "score", damage)
        monkeypatch.setattr(training_job, "public_speakers", lambda _: {"cremad": ["1001"]})
        (training,) = self.trainings(session)
        run(training.id)
        trained = client.get(f"/v1/trainings/{training.id}").json()
        assert trained["status"] == "succeeded", trained["error"]
        (second,) = trained["urls"]["caused"]
        assert client.get(second).json()["warnings"] == []

    def test_its_corpus_is_not_read_while_the_training_ends(
        self,
        client: TestClient,
        model: str,
        corpus: Corpus,
        session: Session,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """A large index is parsed for seconds, in which nobody else could write to SQLite."""
        done(client, submit(client, request(model, corpus, harden=HARDEN)))
        ended: list[bool] = []
        real_end, real_warnings = Attempt.succeed, fit.warnings

        def end(self: Attempt, *given: Any, **named: Any) -> None:
            ended.append(True)
            real_end(self, *given, **named)

        def warnings(*given: Any) -> list[str]:
            assert not ended
            return [*real_warnings(*given), "told"]

        monkeypatch.setattr(Attempt, "succeed", end)
        monkeypatch.setattr(fit, "warnings", warnings)
        (training,) = self.trainings(session)
        run(training.id)
        (second,) = client.get(f"/v1/trainings/{training.id}").json()["urls"]["caused"]
        assert client.get(second).json()["warnings"] == ["told"]

    def test_the_result_changes_its_etag_when_the_second_audit_is_queued(
        self, client: TestClient, model: str, corpus: Corpus, session: Session
    ) -> None:
        first = done(client, submit(client, request(model, corpus, harden=HARDEN)))
        tag = client.get(f"/v1/audits/{first['id']}").headers["etag"]
        run(self.trainings(session)[0].id)
        answer = client.get(f"/v1/audits/{first['id']}", headers={"If-None-Match": tag})
        assert answer.status_code == 200
        assert answer.json()["status"] == "succeeded"

    def test_an_audit_that_was_cancelled_queues_nothing(
        self,
        client: TestClient,
        model: str,
        corpus: Corpus,
        session: Session,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        job_id = submit(client, request(model, corpus, harden=HARDEN))
        real = hardening.verdict

        def cancelled_meanwhile(harden: Harden, curve: list[dict[str, Any]]) -> dict[str, Any]:
            client.post(f"/v1/audits/{job_id}/cancel")
            return real(harden, curve)

        monkeypatch.setattr(hardening, "verdict", cancelled_meanwhile)
        monkeypatch.setattr("workers.runtime.progress.Watchdog._must_leave", lambda *_: False)
        run(job_id)
        assert client.get(f"/v1/audits/{job_id}").json()["status"] == "cancelled"
        assert not self.trainings(session)

    def test_a_corpus_that_cannot_be_trained_on_any_more_costs_the_training_alone(
        self,
        client: TestClient,
        model: str,
        corpus: Corpus,
        session: Session,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        job_id = submit(client, request(model, corpus, harden=HARDEN))

        def gone(*_: Any, **__: Any) -> None:
            raise NotFound("There is no corpus.")

        monkeypatch.setattr(hardening, "submission", gone)
        job = done(client, job_id)
        assert job["result"]["hardening"]["triggered"] is True
        assert job["result"]["hardening"]["training"] is None
        assert job["warnings"] == [
            "The model is too weak, but no training was queued: There is no corpus."
        ]
