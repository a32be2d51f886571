"""An audit that finds its model too weak has a hardened one trained, and audits that."""

from collections import Counter
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from app.audits import fit
from app.audits.result import AuditResult
from app.corpora.tables import Corpus
from app.jobs.attempts import Attempt, CancelRequested
from app.jobs.states import JobKind, JobStatus
from app.jobs.tables import Job
from app.registry.tables import Model
from models.corpus.index import INDEX_NAME
from tests import spoken
from tests.workers.audits.audits import audited, claimed, done, performed, request, submit
from tests.workers.audits.conftest import Passes
from workers.runtime.context import WorkerContext
from workers.runtime.run import run
from workers.trainings import training_data

HARDEN = {
    "defense": {"type": "vanilla"},
    "when": {"epsilon": 0.6, "success_rate_above": 0.1},
    "iterations": 3,
    "batch_size": 4,
}
PGD = {"type": "pgd", "epsilon": [0.6], "steps": 3}
WAVE = {"type": "pgd", "domain": "waveform", "snr_db": [60, 5], "steps": 3}


def trainings(session: Session) -> list[Job]:
    query = select(Job).where(Job.kind == JobKind.TRAINING)
    return list(session.scalars(query.execution_options(populate_existing=True)))


def trained(client: TestClient, job_id: str) -> dict[str, Any]:
    """The training, after it was run here."""
    run(job_id)
    job: dict[str, Any] = client.get(f"/v1/trainings/{job_id}").json()
    assert job["status"] == "succeeded", job["error"]
    return job


class TestVerdict:
    def test_a_strong_model_is_left_alone(
        self, client: TestClient, model: str, corpus: Corpus, session: Session
    ) -> None:
        harden = HARDEN | {"when": {"epsilon": 0.02, "success_rate_above": 0.9}}
        job = audited(client, request(model, corpus, harden=harden))
        assert job["result"]["hardening"]["triggered"] is False
        assert job["result"]["hardening"]["success_rate"] <= 0.9
        assert not trainings(session)

    @pytest.mark.parametrize(
        ("attack", "when", "epsilon"),
        [
            (PGD, {"epsilon": 0.6}, 0.6),
            (WAVE, {"domain": "waveform", "snr_db": 5}, 0.02),
            (PGD | {"norm": "l2", "epsilon": [9]}, {"norm": "l2", "epsilon": 9}, 0.02),
        ],
        ids=["pgd", "a waveform", "another norm"],
    )
    def test_any_attack_decides_at_the_strength_of_its_threat_model(
        self,
        client: TestClient,
        model: str,
        corpus: Corpus,
        session: Session,
        attack: dict[str, Any],
        when: dict[str, Any],
        epsilon: float,
    ) -> None:
        """What an ε is to the training's log-mels only an attack on those can say."""
        harden = HARDEN | {"when": when | {"success_rate_above": 0.1}}
        job = audited(client, request(model, corpus, attacks=[attack], harden=harden))
        found = job["result"]["hardening"]
        assert found["triggered"] is True
        assert found["success_rate"] == job["result"]["curve"][-1]["success_rate"]
        (training,) = trainings(session)
        assert training.request["epsilon"] == epsilon

    def test_what_a_weak_strength_does_decides_there_alone(
        self, client: TestClient, model: str, corpus: Corpus, session: Session
    ) -> None:
        when = {"domain": "waveform", "snr_db": 60, "success_rate_above": 0.1}
        body = request(model, corpus, attacks=[WAVE], harden=HARDEN | {"when": when})
        job = audited(client, body)
        assert job["result"]["hardening"]["success_rate"] == 0
        assert job["result"]["curve"][-1]["success_rate"] > 0.1
        assert not trainings(session)


class TestTraining:
    def test_a_weak_model_is_trained_anew_and_audited_again(
        self, client: TestClient, model: str, corpus: Corpus, session: Session
    ) -> None:
        body = request(model, corpus, harden=HARDEN, metadata={"ticket": 7})
        first = audited(client, body)
        (training,) = trainings(session)
        assert first["result"]["hardening"]["training"] == training.id
        assert first["result"]["hardening"]["audit"] is None
        AuditResult.model_validate(first["result"])
        assert first["model"] == model
        assert first["urls"]["caused"] == [f"/v1/trainings/{training.id}"]
        assert training.status is JobStatus.QUEUED
        assert training.request["architecture"] == spoken.ARCHITECTURE
        assert training.request["epsilon"] == 0.6
        assert training.request["attack"]["type"] == "fgsm"
        assert training.request["frames"] == spoken.FRAMES
        assert training.request["front_end"] == "logmel-1"  # the model's, not a training's default
        assert training.metadata_ == {"ticket": 7}

        hardened = trained(client, training.id)
        first = client.get(f"/v1/audits/{first['id']}").json()
        second_id = first["result"]["hardening"]["audit"]
        assert hardened["urls"]["caused"] == [f"/v1/audits/{second_id}"]
        assert hardened["urls"]["caused_by"] == f"/v1/audits/{first['id']}"

        second = done(client, second_id)
        assert second["model"] == hardened["model"] == hardened["result"]["model"]
        assert second["input"] == first["input"] | {"model": hardened["model"], "harden": None}
        assert second["urls"]["caused_by"] == f"/v1/trainings/{training.id}"
        assert second["metadata"] == {"ticket": 7}
        assert second["result"]["hardening"] is None
        report = client.get(f"/v1/audits/{first['id']}/report").json()
        assert report["result"] == first["result"], "the report names all three, too"

    def test_it_crafts_with_the_attack_that_was_asked_for(
        self, client: TestClient, model: str, corpus: Corpus, session: Session
    ) -> None:
        harden = HARDEN | {"attack": {"type": "pgd", "steps": 2}, "epsilon": 0.3}
        audited(client, request(model, corpus, attacks=[PGD], harden=harden))
        (training,) = trainings(session)
        assert training.request["attack"]["type"] == "pgd"
        assert training.request["attack"]["steps"] == 2
        assert training.request["epsilon"] == 0.3
        trained(client, training.id)

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
        first = audited(client, request(model, corpus, harden=HARDEN))
        (training,) = trainings(session)
        hardened = trained(client, training.id)
        assert ends == {first["id"]: 2, training.id: 2}
        assert first["urls"]["caused"] == [f"/v1/trainings/{training.id}"]
        first = client.get(f"/v1/audits/{first['id']}").json()
        second_id = first["result"]["hardening"]["audit"]
        assert hardened["urls"]["caused"] == [f"/v1/audits/{second_id}"]
        made = session.scalars(select(Model.id).where(Model.training_id == training.id)).all()
        assert made == [hardened["model"]]

    def test_an_audit_that_was_cancelled_queues_none(
        self,
        client: TestClient,
        model: str,
        corpus: Corpus,
        session: Session,
        context: WorkerContext,
    ) -> None:
        attempt = claimed(context, submit(client, request(model, corpus, harden=HARDEN)))
        outcome = performed(context, attempt)
        assert outcome.publish is not None
        client.post(f"/v1/audits/{attempt.job_id}/cancel")
        with pytest.raises(CancelRequested):
            attempt.succeed(outcome.result, publish=outcome.publish)
        assert not trainings(session)

    def test_a_corpus_that_cannot_be_trained_on_any_more_costs_the_training_alone(
        self,
        client: TestClient,
        model: str,
        corpus: Corpus,
        session: Session,
        context: WorkerContext,
        passes: Passes,
    ) -> None:
        index = context.storage.corpus_dir(corpus.id) / INDEX_NAME
        job_id = submit(client, request(model, corpus, harden=HARDEN))
        passes.before = lambda _: index.unlink(missing_ok=True)
        job = done(client, job_id)
        assert job["result"]["hardening"]["triggered"] is True
        assert job["result"]["hardening"]["training"] is None
        (warning,) = job["warnings"]
        assert warning.startswith("The model is too weak, but no training was queued: corpus")
        assert "its files are gone" in warning
        assert not trainings(session)


class TestSecondAudit:
    def test_it_says_if_the_new_model_knows_the_clips(
        self, client: TestClient, model: str, corpus: Corpus, session: Session
    ) -> None:
        body = request(model, corpus, harden=HARDEN, partition="all")
        first = audited(client, body)
        assert first["warnings"] == []
        (training,) = trainings(session)
        (second,) = trained(client, training.id)["urls"]["caused"]
        (warning,) = client.get(second).json()["warnings"]
        assert "was trained on train of this corpus" in warning

    def test_a_corpus_that_is_damaged_meanwhile_costs_a_warning_not_the_training(
        self,
        client: TestClient,
        model: str,
        corpus: Corpus,
        session: Session,
        context: WorkerContext,
        passes: Passes,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        audited(client, request(model, corpus, harden=HARDEN))
        (training,) = trainings(session)
        monkeypatch.setattr(training_data, "public_speakers", lambda _: {"cremad": ["1001"]})
        index = context.storage.corpus_dir(corpus.id) / INDEX_NAME

        def damage(_: int) -> None:
            index.write_bytes(b"\xff")

        passes.before = damage
        (second,) = trained(client, training.id)["urls"]["caused"]
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
        audited(client, request(model, corpus, harden=HARDEN))
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
        (training,) = trainings(session)
        (second,) = trained(client, training.id)["urls"]["caused"]
        assert client.get(second).json()["warnings"] == ["told"]

    def test_the_result_of_the_first_changes_its_etag_when_it_is_queued(
        self, client: TestClient, model: str, corpus: Corpus, session: Session
    ) -> None:
        first = audited(client, request(model, corpus, harden=HARDEN))
        tag = client.get(f"/v1/audits/{first['id']}").headers["etag"]
        (training,) = trainings(session)
        trained(client, training.id)
        answer = client.get(f"/v1/audits/{first['id']}", headers={"If-None-Match": tag})
        assert answer.status_code == 200
        assert answer.json()["status"] == "succeeded"


class TestBeforeAndAfter:
    def test_the_second_audit_says_what_has_changed(
        self, client: TestClient, model: str, corpus: Corpus, session: Session
    ) -> None:
        first = audited(client, request(model, corpus, harden=HARDEN))
        assert first["result"]["comparison"] is None
        (training,) = trainings(session)
        (path,) = trained(client, training.id)["urls"]["caused"]
        second = done(client, path.rpartition("/")[2])
        found = second["result"]["comparison"]
        assert found["baseline"] == first["id"]
        assert found["clips"] == first["result"]["n"]
        worst = [one for one in found["deltas"] if one["case"] == "worst_case"]
        cases = zip(
            (one for one in worst if one["figure"] == "uar"),
            first["result"]["worst_case"],
            second["result"]["worst_case"],
            strict=True,
        )
        for delta, before, after in cases:
            assert delta["of_a"] == pytest.approx(before["uar"])
            assert delta["of_b"] == pytest.approx(after["uar"])
        whole = client.get(found["url"]).json()
        assert [one["sentence"][:12] for one in found["ranking"]] == [
            one["sentence"][:12] for one in whole["ranking"]
        ]
        assert [one for one in whole["deltas"] if one["case"] != "point"] == found["deltas"]
        assert {row["field"] for row in whole["differs"]} == {"model", "request.harden"}

    def test_rows_that_are_gone_cost_a_warning_not_the_audit(
        self,
        client: TestClient,
        model: str,
        corpus: Corpus,
        session: Session,
        context: WorkerContext,
    ) -> None:
        first = audited(client, request(model, corpus, harden=HARDEN))
        (training,) = trainings(session)
        (path,) = trained(client, training.id)["urls"]["caused"]
        context.storage.remove(context.storage.job_dir(first["id"]))
        second = done(client, path.rpartition("/")[2])
        assert second["result"]["comparison"] is None
        assert second["warnings"][-1] == (
            f"What hardening has changed cannot be said, because {first['id']} cannot be compared"
            " with this audit: its rows are gone."
        )
