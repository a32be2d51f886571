"""Background noise of an uploaded corpus: whose it is, what it does, and the same draw again."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from app.corpora import service as corpora
from app.corpora.importing import audio_file
from app.corpora.tables import Corpus
from app.jobs.states import JobKind
from tests import spoken
from tests.workers.audits.audits import CLIPS, audited, done, ended, rows, submit
from tests.workers.audits.conftest import NO_PICTURES, Passes
from tests.workers.audits.test_resuming import before_pass, published, put_down
from workers.audits import audit_job
from workers.jobs import PERFORM
from workers.runtime.context import WorkerContext
from workers.runtime.run import configure

Refusal = Callable[[dict[str, Any]], dict[str, Any]]


@pytest.fixture
def noises(context: WorkerContext, session: Session) -> Corpus:
    """Another corpus: of noises, as far as an audit knows."""
    return spoken.add_corpus(session, context.storage, context.settings)


@pytest.fixture
def body(model: str, corpus: Corpus, noises: Corpus) -> dict[str, Any]:
    noisy = {"type": "background", "corpus": noises.id, "snr_db": [60, 0, -20]}
    return {"model": model, "corpus": corpus.id, "corruptions": [noisy]}


@pytest.fixture
def refused(client: TestClient) -> Refusal:
    def refused(body: dict[str, Any]) -> dict[str, Any]:
        answer = client.post("/v1/audits", json=body)
        assert answer.status_code == 422, answer.text
        problem: dict[str, Any] = answer.json()
        return problem

    return refused


class TestAudit:
    def test_a_louder_noise_breaks_more(
        self, client: TestClient, body: dict[str, Any], noises: Corpus
    ) -> None:
        result = audited(client, body)["result"]
        (attack,) = result["attacks"]
        assert (attack["type"], attack["parameters"]) == ("background", {"corpus": noises.id})
        assert (attack["threat"]["domain"], attack["threat"]["unit"]) == ("corruption", "dB SNR")
        broken = [point["counts"]["right_wrong"] for point in result["curve"]]
        assert broken[0] == 0 < broken[-1]
        assert [point["n"] for point in result["curve"]] == [CLIPS] * 3

    def test_draws_for_a_clip_by_the_seed(
        self, client: TestClient, body: dict[str, Any], context: WorkerContext
    ) -> None:
        first, again = (rows(context, audited(client, body)["id"]) for _ in range(2))
        other = rows(context, audited(client, body | {"seed": 1})["id"])
        assert first == again
        assert first != other

    @pytest.mark.parametrize("number", [2, 9])
    def test_that_was_stopped_ends_with_the_same_rows(
        self,
        client: TestClient,
        body: dict[str, Any],
        context: WorkerContext,
        passes: Passes,
        number: int,
    ) -> None:
        whole = audited(client, body)
        job_id = submit(client, body)
        put_down(client, job_id, passes, before_pass(number))
        job = done(client, job_id)
        assert job["attempt"] == 2
        assert published(context, job) == published(context, whole)

    def test_in_shards_has_the_same_rows(
        self, client: TestClient, body: dict[str, Any], context: WorkerContext
    ) -> None:
        whole = audited(client, body)
        settings = context.settings.model_copy(update={"audit_shard_passes": 1})
        quick = partial(audit_job.perform, pictures=NO_PICTURES)
        configure(
            WorkerContext(**(vars(context) | {"settings": settings})),
            {**PERFORM, JobKind.AUDIT: quick},
        )
        assert published(context, audited(client, body)) == published(context, whole)


class TestAcceptance:
    def test_a_corpus_that_is_not_there_is_refused_by_the_field(
        self, body: dict[str, Any], refused: Refusal
    ) -> None:
        noisy = {"type": "background", "corpus": "corpus_none", "snr_db": [0]}
        problem = refused(body | {"corruptions": [{"type": "gain", "db": 6}, noisy]})
        (fault,) = problem["errors"]
        assert (problem["code"], fault["field"]) == ("unknown_corpus", "corruptions.1.corpus")
        assert (fault["value"], "GET /v1/corpora" in fault["remedy"]) == ("'corpus_none'", True)

    def test_anothers_is_refused_in_the_same_words(
        self, body: dict[str, Any], refused: Refusal, noises: Corpus, session: Session
    ) -> None:
        noises.owner = "key_somebody"
        session.commit()
        problem = refused(body)
        assert problem["code"] == "unknown_corpus"
        assert problem["errors"][0]["value"] == repr(noises.id)

    def test_one_whose_recordings_are_gone_is_refused(
        self, body: dict[str, Any], refused: Refusal, noises: Corpus, context: WorkerContext
    ) -> None:
        folder = context.storage.corpus_dir(noises.id)
        audio_file(folder, 0, corpora.read_manifest(folder).clips[0]).unlink()
        problem = refused(body)
        assert (problem["code"], problem["errors"][0]["field"]) == (
            "no_recordings", "corruptions.0.corpus",
        )  # fmt: skip

    def test_uploaded_clips_are_held_to_the_same(
        self, client: TestClient, model: str, noises: Corpus
    ) -> None:
        def post(corpus: str) -> Any:
            noisy = f'{{"type": "background", "corpus": "{corpus}", "snr_db": [0]}}'
            return client.post(
                "/v1/audits",
                files=[("file", ("a.wav", spoken.wav("anger"), "audio/wav"))],
                data={"request": f'{{"model": "{model}", "corruptions": [{noisy}]}}'},
            )

        answer = post("corpus_none")
        assert (answer.status_code, answer.json()["code"]) == (422, "unknown_corpus")
        assert done(client, post(noises.id).json()["id"])["result"]["n"] == 1


class TestDeletion:
    def test_waits_for_the_audits_that_take_noises(
        self, client: TestClient, body: dict[str, Any], noises: Corpus
    ) -> None:
        job_id = submit(client, body)
        refusal = client.delete(f"/v1/corpora/{noises.id}")
        assert (refusal.status_code, refusal.json()["code"]) == (409, "corpus_in_use")
        assert job_id in refusal.json()["detail"]
        done(client, job_id)
        assert client.delete(f"/v1/corpora/{noises.id}").status_code == 204

    def test_behind_the_services_back_fails_the_audit_and_says_so(
        self, client: TestClient, body: dict[str, Any], noises: Corpus, session: Session
    ) -> None:
        job_id = submit(client, body)
        session.delete(noises)
        session.commit()
        job = ended(client, job_id)
        assert (job["status"], job["error"]["code"]) == ("failed", "corpus_deleted")
        assert noises.id in job["error"]["message"]
