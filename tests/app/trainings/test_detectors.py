"""POST /v1/trainings with type detector: what is accepted, and what is refused and why."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from app.corpora.tables import Corpus
from app.persistence.storage import Storage
from models.attacks.fgsm import Fgsm
from models.checkpoint import WEIGHTS, weights_bytes
from models.corpus.manifest import Manifest
from models.detectors.evaluation import examination_cost
from models.detectors.plan import DetectorRecipe
from tests.app.state import reconfigure, state
from tests.app.tiny import tiny_config, tiny_net
from tests.conftest import MakeKey
from tests.speechless import add_corpus, manifest

Post = Callable[..., Any]


@pytest.fixture(autouse=True)
def _starters(starters: object) -> None:
    """Every test here sees the starters tiny-a and tiny-b."""


@pytest.fixture
def storage(app: FastAPI) -> Storage:
    storage: Storage = state(app).storage
    return storage


@pytest.fixture
def corpus(client: TestClient, session: Session, storage: Storage) -> Corpus:
    return add_corpus(session, storage)


def upload(client: TestClient, headers: dict[str, str] | None = None, *labels: str) -> str:
    config = tiny_config(*(labels or ("anger", "joy", "sadness")))
    answer = client.post(
        "/v1/models",
        files={"weights": (WEIGHTS, weights_bytes(tiny_net(len(config.labels))))},
        data={"config": config.to_json()},
        headers=headers,
    )
    return str(answer.json()["id"])


@pytest.fixture
def model(client: TestClient) -> str:
    return upload(client)


@pytest.fixture
def post(client: TestClient, corpus: Corpus, model: str) -> Post:
    def post(*, headers: dict[str, str] | None = None, **wanted: Any) -> Any:
        request = {"type": "detector", "model": model, "corpus": corpus.id, **wanted}
        return client.post("/v1/trainings", json=request, headers=headers)

    return post


def refused(answer: Any, status: int = 422) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    problem: dict[str, Any] = answer.json()
    return problem


class TestAccepted:
    def test_it_is_queued_with_every_default_spelt_out(
        self, post: Post, corpus: Corpus, model: str
    ) -> None:
        answer = post()
        assert answer.status_code == 202, answer.text
        job = answer.json()
        assert (job["object"], job["model"]) == ("training", model)
        assert job["input"] == {
            "type": "detector",
            "model": model,
            "corpus": corpus.id,
            "attack": Fgsm().model_dump(mode="json"),
            "epsilon": 0.02,
            "iterations": 2000,
            "batch_size": 16,
            "learning_rate": 0.001,
            "seed": 0,
            "attach": True,
            "evaluate_clips": 256,
        }

    def test_its_model_stays_until_it_has_ended(
        self, post: Post, client: TestClient, model: str
    ) -> None:
        job = post().json()
        answer = refused(client.delete(f"/v1/models/{model}"), 409)
        assert answer["code"] == "model_in_use"
        client.post(job["urls"]["cancel"])
        assert client.delete(f"/v1/models/{model}").status_code == 204

    def test_the_same_idempotency_key_gives_the_same_job(self, post: Post) -> None:
        first, second = (post(headers={"Idempotency-Key": "once"}) for _ in range(2))
        assert first.json()["id"] == second.json()["id"]

    def test_nothing_is_attached_to_a_starter(self, post: Post) -> None:
        assert refused(post(model="tiny-a"), 403)["code"] == "starter_model"
        answer = refused(post(model="tiny-a", attach=False))
        assert answer["code"] == "no_common_emotions"  # it is calm, cross and sad

    def test_few_clips_of_dev_are_warned_of(self, post: Post) -> None:
        (warning,) = post().json()["warnings"]
        assert "dev has 12 clips" in warning


class TestRefused:
    @pytest.mark.parametrize(
        ("wanted", "field"),
        [
            ({"attack": {"type": "pgd", "steps": 0}}, "attack.steps"),
            ({"attack": {"type": "pgd", "epsilon": [0.02]}}, "attack"),
            ({"attack": {"type": "pgd", "domain": "waveform"}}, "attack"),
            ({"attack": {"type": "wave"}}, "attack.type"),
            ({"epsilon": 0}, "epsilon"),
            ({"epsilon": 5.5}, "epsilon"),
            ({"epsilon": "0.02"}, "epsilon"),
            ({"iterations": 0}, "iterations"),
            ({"iterations": 10_000_001}, "iterations"),
            ({"batch_size": 1}, "batch_size"),
            ({"learning_rate": 2.0}, "learning_rate"),
            ({"evaluate_clips": 0}, "evaluate_clips"),
            ({"attach": "yes"}, "attach"),
            ({"architecture": "cnn4"}, "architecture"),
            ({"type": "classifier"}, "type"),
            ({"type": None}, "type"),
        ],
        ids=str,
    )
    def test_a_field_is_named_as_it_stands_in_the_request(
        self, post: Post, wanted: dict[str, Any], field: str
    ) -> None:
        problem = refused(post(**wanted))
        assert [one["field"] for one in problem["errors"]] == [field]

    def test_a_model_that_others_own_is_not_there(
        self, post: Post, client: TestClient, session: Session, storage: Storage, make_key: MakeKey
    ) -> None:
        mine, theirs = make_key("train"), make_key("train")
        model = upload(client, mine.headers)
        corpus = add_corpus(session, storage, owner=theirs.id)
        answer = post(model=model, corpus=corpus.id, headers=theirs.headers)
        assert model in refused(answer, 404)["detail"]

    def test_a_corpus_that_others_own_is_not_there(
        self, post: Post, session: Session, storage: Storage
    ) -> None:
        corpus = add_corpus(session, storage, owner="key_another")
        assert corpus.id in refused(post(corpus=corpus.id), 404)["detail"]

    @pytest.mark.parametrize("absent", ["dev", "test"])
    def test_a_corpus_without_dev_or_test(
        self, post: Post, session: Session, storage: Storage, absent: str
    ) -> None:
        clips = tuple(clip for clip in manifest() if clip.split != absent)
        corpus = add_corpus(session, storage, Manifest(clips))
        problem = refused(post(corpus=corpus.id))
        assert (problem["code"], problem["errors"][0]["field"]) == ("unknown_split", "corpus")
        assert f"no partition {absent}" in problem["detail"]

    def test_a_corpus_of_other_emotions(
        self, post: Post, session: Session, storage: Storage
    ) -> None:
        corpus = add_corpus(session, storage, manifest(("bored", "proud")))
        problem = refused(post(corpus=corpus.id))
        assert problem["code"] == "no_common_emotions"
        assert "anger, joy, sadness" in problem["detail"]

    def test_an_attack_that_the_model_has_too_few_emotions_for(
        self, post: Post, client: TestClient
    ) -> None:
        model = upload(client, None, "anger", "joy")
        problem = refused(post(model=model, attack={"type": "pgd", "loss": "dlr"}))
        assert problem["errors"][0]["field"] == "attack.loss"

    def test_more_than_the_service_allows(self, post: Post, app: FastAPI) -> None:
        reconfigure(app, max_iterations=10, max_batch_frames=32 * 8)
        assert refused(post(iterations=11))["errors"][0]["field"] == "iterations"
        problem = refused(post(iterations=10, batch_size=5))
        assert "give at most 4" in problem["detail"]

    def test_an_examination_that_would_never_end(self, post: Post, app: FastAPI) -> None:
        each = examination_cost(DetectorRecipe(), ("anger", "joy", "sadness"), audible=True)
        passes = each.forwards + each.backwards
        reconfigure(app, max_audit_passes=12 * passes)
        assert post(evaluate_clips=100_000).status_code == 202  # there are twelve
        reconfigure(app, max_audit_passes=12 * passes - 1)
        problem = refused(post())
        assert problem["code"] == "too_many_passes"
        assert problem["errors"][0]["field"] == "evaluate_clips"
        assert "with 12 clips of test" in problem["detail"]
        assert "give at most 11" in problem["detail"]
        assert post(evaluate_clips=11).status_code == 202
        reconfigure(app, max_audit_passes=passes - 1)
        assert "give an attack of fewer steps" in refused(post(evaluate_clips=1))["detail"]
