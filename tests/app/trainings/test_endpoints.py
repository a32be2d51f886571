"""POST /v1/trainings: what is accepted, with which defaults, and what is refused and why."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.corpora.tables import Corpus
from app.errors import shown
from app.jobs.queue import brief_client
from app.jobs.states import JobKind
from app.jobs.tables import Job
from app.persistence.storage import Storage
from models.attacks.fgsm import Fgsm
from models.attacks.pgd import Pgd
from models.corpus.index import write_index
from models.corpus.manifest import Manifest
from models.defenses.trades import Trades
from tests.app.state import reconfigure, state
from tests.conftest import MakeKey
from tests.speechless import add_corpus, manifest

Post = Callable[..., Any]


def told(fault: dict[str, Any]) -> str:
    """What a refusal says of a field: why, and the remedy."""
    return f"{fault['message']}: {fault['remedy']}"


@pytest.fixture
def storage(app: FastAPI) -> Storage:
    storage: Storage = state(app).storage
    return storage


@pytest.fixture
def corpus(client: TestClient, session: Session, storage: Storage) -> Corpus:
    return add_corpus(session, storage)


@pytest.fixture
def post(client: TestClient, corpus: Corpus) -> Post:
    def post(*, headers: dict[str, str] | None = None, **wanted: Any) -> Any:
        return client.post("/v1/trainings", json={"corpus": corpus.id, **wanted}, headers=headers)

    return post


def jobs(session: Session) -> int:
    session.expire_all()
    return session.scalar(select(func.count(Job.id))) or 0


def refusal(answer: Any, status: int = 422) -> dict[str, Any]:
    """The problem document of a request that was refused."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    return problem


class TestCreateTraining:
    def test_it_is_queued_and_the_answer_names_it(
        self, post: Post, client: TestClient, app: FastAPI
    ) -> None:
        answer = post(defense={"type": "vanilla"}, metadata={"for": "the table"})
        assert answer.status_code == 202
        job = answer.json()
        assert job["id"].startswith("train_")
        assert (job["object"], job["status"]) == ("training", "queued")
        assert job["metadata"] == {"for": "the table"}
        assert answer.headers["Location"] == f"/v1/trainings/{job['id']}" == job["urls"]["self"]
        assert client.get(job["urls"]["self"]).json() == job
        assert state(app).queue.waiting(JobKind.TRAINING) == {job["id"]}

    def test_defaults_are_the_papers_but_for_the_front_end_and_are_spelt_out(
        self, post: Post, corpus: Corpus
    ) -> None:
        assert post().json()["input"] == {
            "corpus": corpus.id,
            "name": None,
            "architecture": "cnn4",
            "defense": {"type": "single"},
            "attack": Fgsm().model_dump(mode="json"),
            "epsilon": 0.02,
            "crafting": "eval",
            "iterations": 10_000,
            "adversarial_from": None,
            "epsilon_ramp": 0,
            "batch_size": 16,
            "learning_rate": 0.001,
            "decay": 0.9,
            "decay_every": 100,
            "cooldown": 0,
            "frames": 373,
            "front_end": "logmel-2",
            "augment": [],
            "augment_share": 0.3,
            "class_weights": None,
            "sampling": "uniform",
            "precision": "float32",
            "on_overfitting": "warn",
            "seed": 0,
            "train_on": "train",
            "fold": None,
            "evaluate_every": None,
        }

    @pytest.mark.parametrize(
        ("given", "complete"),
        [
            ({"type": "single"}, {"type": "single"}),
            ({"type": "vanilla"}, {"type": "vanilla", "alpha": 0.5}),
            (
                {"type": "similarity", "distance": "l2"},
                {"type": "similarity", "beta": 0.4, "gamma": 0.4, "distance": "l2"},
            ),
            ({"type": "trades", "beta": 3}, {**Trades(beta=3).model_dump()}),
            ({"type": "pgd"}, {"type": "pgd", "steps": 7, "step": 0.25}),
        ],
    )
    def test_each_defence_has_its_own_weights(
        self, post: Post, given: dict[str, Any], complete: dict[str, Any]
    ) -> None:
        assert post(defense=given).json()["input"]["defense"] == complete

    def test_it_chooses_its_attack(self, post: Post) -> None:
        answer = post(defense={"type": "vanilla"}, attack={"type": "pgd", "steps": 7}, epsilon=0.04)
        assert answer.status_code == 202
        told = answer.json()["input"]["attack"]
        assert told == Pgd(steps=7).model_dump(mode="json")

    def test_the_same_idempotency_key_gives_the_same_job(
        self, post: Post, session: Session
    ) -> None:
        first, second = (post(headers={"Idempotency-Key": "once"}) for _ in range(2))
        assert first.json()["id"] == second.json()["id"]
        assert jobs(session) == 1

    def test_a_retry_is_not_judged_again(
        self, post: Post, client: TestClient, corpus: Corpus, app: FastAPI
    ) -> None:
        headers = {"Idempotency-Key": "once"}
        first = post(headers=headers).json()
        client.post(f"/v1/trainings/{first['id']}/cancel")
        assert client.delete(f"/v1/corpora/{corpus.id}").status_code == 204
        reconfigure(app, max_iterations=1)
        second = post(headers=headers)
        assert (second.status_code, second.json()["id"]) == (202, first["id"])
        assert post(headers=headers, seed=1).json()["code"] == "idempotency_key_reused"
        assert post(iterations=1).status_code == 404

    def test_another_training_under_the_same_key_is_422(self, post: Post) -> None:
        post(headers={"Idempotency-Key": "once"})
        answer = post(headers={"Idempotency-Key": "once"}, seed=1)
        assert answer.status_code == 422
        assert answer.json()["code"] == "idempotency_key_reused"


class TestWhoMay:
    def test_anonymous_is_401_once_there_is_a_key(self, post: Post, make_key: MakeKey) -> None:
        make_key("train")
        assert post().status_code == 401

    def test_a_key_for_other_things_is_403(self, post: Post, make_key: MakeKey) -> None:
        assert post(headers=make_key("predict", "audit").headers).status_code == 403

    def test_anothers_corpus_is_404_and_named(
        self, post: Post, make_key: MakeKey, corpus: Corpus, session: Session
    ) -> None:
        key = make_key("train")
        assert corpus.id in refusal(post(headers=key.headers), 404)["detail"]
        assert jobs(session) == 0
        corpus.owner = key.id
        session.commit()
        assert post(headers=key.headers).status_code == 202

    def test_anothers_training_is_404(
        self,
        client: TestClient,
        session: Session,
        storage: Storage,
        make_key: MakeKey,
    ) -> None:
        owner, other = make_key("train"), make_key("train")
        mine = add_corpus(session, storage, owner=owner.id)
        job = client.post("/v1/trainings", json={"corpus": mine.id}, headers=owner.headers).json()
        for verb, path in [("GET", ""), ("GET", "/events"), ("POST", "/cancel")]:
            answer = client.request(verb, job["urls"]["self"] + path, headers=other.headers)
            assert answer.status_code == 404


class TestOnOverfitting:
    @pytest.mark.parametrize(
        ("wanted", "why"),
        [
            ({"train_on": "train+dev"}, "no dev is left"),
            ({"fold": {"number": 1, "of": 2}}, "the corpus has no dev"),
            ({"evaluate_every": 0}, "evaluate_every is 0"),
            ({"epsilon": 0}, "epsilon is 0"),
            ({"defense": {"type": "single"}}, "single learns no adversarial clips"),
            ({"evaluate_every": 10_000}, "there are not two evaluations to compare"),
            ({"evaluate_every": 5_000}, "between iteration 1000, when adversarial data enter"),
        ],
        ids=str,
    )
    def test_of_a_training_that_nothing_watches_is_warned_of(
        self, post: Post, wanted: dict[str, Any], why: str
    ) -> None:
        asked = {"defense": {"type": "vanilla"}, **wanted}
        (warning,) = [
            text for text in post(on_overfitting="stop", **asked).json()["warnings"] if why in text
        ]
        assert warning.startswith("on_overfitting is stop, but ")
        assert not any(why in text for text in post(**asked).json()["warnings"])

    def test_is_not_warned_of_where_there_is_a_dev(self, post: Post) -> None:
        asked = {"defense": {"type": "vanilla"}, "evaluate_every": 4_000}
        watched = post(on_overfitting="best", **asked).json()["warnings"]
        assert watched == post(**asked).json()["warnings"]


class TestRefused:
    """Each is a clear problem, queues nothing, and the next good one works."""

    @pytest.fixture(autouse=True)
    def _the_next_works(self, post: Post, session: Session) -> Iterator[None]:
        yield
        before = jobs(session)
        assert post().status_code == 202
        assert jobs(session) == before + 1

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("epsilon", -0.02),
            ("epsilon", 1e9),
            ("epsilon", [0.01 * n for n in range(200)]),
            ("architecture", "cnn5"),
            ("iterations", 0),
            ("iterations", 2.5),
            ("iterations", 10**12),
            ("batch_size", 1),
            ("batch_size", 10**6),
            ("learning_rate", 0),
            ("learning_rate", 7),
            ("decay", 1.5),
            ("decay_every", 0),
            ("cooldown", -1),
            ("epsilon_ramp", -1),
            ("class_weights", "inverse"),
            ("sampling", "stratified"),
            ("on_overfitting", "panic"),
            ("frames", 31),
            ("frames", 10**6),
            ("seed", -1),
            ("seed", 2**31),
            ("clip", 0.1),
            ("iterations", "100"),
            ("seed", True),
            ("train_on", "test"),
            ("adversarial_from", -1),
            ("evaluate_every", -1),
            ("name", "two\nlines"),
            ("name", "x" * 101),
            ("metadata", {"much": "x" * 20_000}),
            ("colour", "red"),
        ],
    )
    def test_a_bad_field_is_422_and_named(
        self, post: Post, session: Session, field: str, value: Any
    ) -> None:
        problem = refusal(post(**{field: value}))
        (fault,) = [error for error in problem["errors"] if error["field"] == field]
        assert fault["value"] == shown(value)
        assert field in problem["detail"]
        assert jobs(session) == 0

    @pytest.mark.parametrize(
        ("defense", "field"),
        [
            ({"type": "vanilla", "beta": 0.4}, "defense.beta"),
            ({"type": "single", "alpha": 0.5}, "defense.alpha"),
            ({"type": "similarity", "alpha": 0.5}, "defense.alpha"),
            ({"type": "vanilla", "alpha": 1.5}, "defense.alpha"),
            ({"type": "similarity", "beta": 0.7, "gamma": 0.7}, "defense.gamma"),
            ({"type": "similarity", "distance": "cosine"}, "defense.distance"),
            ({"type": "trades", "steps": 0}, "defense.steps"),
            ({"type": "trades", "beta": "6"}, "defense.beta"),
            ({"type": "none"}, "defense.type"),
            ({"alpha": 0.5}, "defense.alpha"),
            ("vanilla", "defense"),
        ],
    )
    def test_a_defence_that_does_not_hold_is_422_at_its_field(
        self, post: Post, session: Session, defense: Any, field: str
    ) -> None:
        problem = refusal(post(defense=defense))
        assert [fault["field"] for fault in problem["errors"]] == [field]
        assert jobs(session) == 0

    @pytest.mark.parametrize(
        ("attack", "field", "reason"),
        [
            ({"type": "deepfool"}, "attack.type", "'deepfool' is unknown: give one of"),
            ({"type": "pgd", "steps": 0}, "attack.steps", "greater than or equal to 1"),
            ({"type": "pgd", "epsilon": [0.1]}, "attack", "leave its strengths out"),
            ({"type": "pgd", "domain": "waveform"}, "attack", "a training changes features"),
            (
                {"type": "pgd", "steps": 1000, "restarts": 9},
                "attack",
                "give steps or queries for 1000",
            ),
            ({"type": "fgsm", "goal": {"label": "joy"}}, "attack", "goal is a label"),
        ],
    )
    def test_an_attack_that_cannot_train_is_422_at_its_field(
        self, post: Post, session: Session, attack: Any, field: str, reason: str
    ) -> None:
        problem = refusal(post(defense={"type": "vanilla"}, attack=attack))
        (fault,) = problem["errors"]
        assert fault["field"] == field
        assert reason in told(fault)
        assert jobs(session) == 0

    @pytest.mark.parametrize("defense", ["single", "trades", "pgd"])
    def test_an_attack_that_the_defence_would_not_use_is_422(
        self, post: Post, defense: str
    ) -> None:
        problem = refusal(post(defense={"type": defense}, attack={"type": "pgd"}))
        (fault,) = problem["errors"]
        assert fault["field"] == "attack"
        assert f"the defense {defense}" in told(fault)
        assert "leave attack out" in told(fault)

    def test_an_attack_that_needs_more_emotions_than_the_corpus_has_is_422(
        self, post: Post, client: TestClient, session: Session, storage: Storage
    ) -> None:
        """What only the corpus tells is asked before the job is accepted, too."""
        two = add_corpus(session, storage, manifest(("anger", "joy")))
        wanted = {"defense": {"type": "vanilla"}, "attack": {"type": "pgd", "loss": "dlr"}}
        problem = refusal(client.post("/v1/trainings", json={"corpus": two.id, **wanted}))
        (fault,) = problem["errors"]
        assert fault["field"] == "attack.loss"
        assert fault["value"] == "'dlr'"
        assert "needs 3 labels, and the model has 2: give ce or margin" in told(fault)
        assert jobs(session) == 0
        assert post(**wanted).status_code == 202

    def test_a_weight_of_an_emotion_that_is_not_learnt_is_422_and_named(
        self, post: Post, session: Session
    ) -> None:
        problem = refusal(post(class_weights={"joy": 2, "boredom": 3}))
        (fault,) = problem["errors"]
        assert (fault["field"], fault["value"]) == ("class_weights.boredom", "3.0")
        assert "train has no clip of this emotion: give weights for anger, joy" in told(fault)
        assert jobs(session) == 0
        assert post(class_weights={"joy": 2}).status_code == 202

    @pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "1e999"])
    def test_what_is_no_number_is_refused(
        self, client: TestClient, corpus: Corpus, session: Session, text: str
    ) -> None:
        body = f'{{"corpus": "{corpus.id}", "epsilon": {text}}}'
        answer = client.post(
            "/v1/trainings", content=body, headers={"Content-Type": "application/json"}
        )
        (fault,) = refusal(answer)["errors"]
        assert (fault["field"], fault["value"]) == ("epsilon", str(float(text)))
        assert "finite" in fault["remedy"]
        assert jobs(session) == 0

    def test_an_epsilon_is_bounded_by_its_threat_model(self, post: Post) -> None:
        (fault,) = refusal(post(epsilon=11))["errors"]
        assert fault["field"] == "epsilon"
        assert "11.0 is more than 10.0 sigma" in told(fault)
        l2 = {"defense": {"type": "vanilla"}, "attack": {"type": "fgsm", "norm": "l2"}}
        assert post(epsilon=11, **l2).status_code == 202

    def test_more_iterations_than_the_service_allows_are_422(self, post: Post) -> None:
        answer = post(iterations=100_001)
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == "iterations"
        assert "at most 100000" in answer.json()["detail"]

    def test_a_step_that_would_not_fit_into_memory_is_422(self, post: Post) -> None:
        answer = post(batch_size=1024)
        assert answer.status_code == 422
        assert "give at most 64" in answer.json()["detail"]


class TestTheCorpus:
    def test_an_unknown_one_is_404_and_named(self, client: TestClient) -> None:
        answer = client.post("/v1/trainings", json={"corpus": "../../etc/passwd"})
        assert "../../etc/passwd" in refusal(answer, 404)["detail"]

    def refusal(
        self, client: TestClient, session: Session, storage: Storage, clips: Manifest
    ) -> dict[str, Any]:
        corpus = add_corpus(session, storage, clips)
        answer = client.post("/v1/trainings", json={"corpus": corpus.id})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["field"] == "corpus"
        problem: dict[str, Any] = answer.json()
        return problem

    def test_one_emotion_is_too_few(
        self, client: TestClient, session: Session, storage: Storage
    ) -> None:
        problem = self.refusal(client, session, storage, manifest(("anger",)))
        assert problem["code"] == "one_class"
        assert "anger" in problem["detail"]

    def test_one_emotion_in_the_training_data_is_too_few(
        self, client: TestClient, session: Session, storage: Storage
    ) -> None:
        clips = [clip for clip in manifest() if clip.split != "train" or clip.emotion == "joy"]
        problem = self.refusal(client, session, storage, Manifest(tuple(clips)))
        assert problem["code"] == "one_class"
        assert "joy" in problem["detail"]

    def test_speakers_of_two_partitions_are_named(
        self, client: TestClient, session: Session, storage: Storage
    ) -> None:
        clips = [
            replace(clip, speaker="Ada") if clip.path.endswith("_0.wav") else clip
            for clip in manifest()
        ]
        problem = self.refusal(client, session, storage, Manifest(tuple(clips)))
        assert problem["code"] == "speakers_overlap"
        assert "Ada" in problem["detail"]

    def test_without_training_data_nothing_is_learnt(
        self, client: TestClient, session: Session, storage: Storage
    ) -> None:
        problem = self.refusal(client, session, storage, manifest().split("test"))
        assert problem["code"] == "unknown_split"

    def test_without_test_data_it_is_told_in_advance(
        self, client: TestClient, session: Session, storage: Storage
    ) -> None:
        corpus = add_corpus(session, storage, manifest().split("train", "dev"))
        job = client.post("/v1/trainings", json={"corpus": corpus.id}).json()
        assert "The corpus has no partition test: no figures for it." in job["warnings"]

    def test_emotions_that_cannot_be_learnt_are_told_in_advance(
        self, client: TestClient, session: Session, storage: Storage, corpus: Corpus
    ) -> None:
        clips = manifest()
        odd = replace(clips.clips[-1], emotion="guilt")
        index = Path(storage.corpus_dir(corpus.id) / "index.csv")
        index.write_text(write_index(Manifest((*clips.clips[:-1], odd))))
        job = client.post("/v1/trainings", json={"corpus": corpus.id}).json()
        told = "Clips of test with emotions that train lacks are left out: guilt."
        assert told in job["warnings"]

    def test_what_makes_a_partition_weak_is_told_in_advance(
        self, client: TestClient, corpus: Corpus
    ) -> None:
        job = client.post("/v1/trainings", json={"corpus": corpus.id}).json()
        told = [one for one in job["warnings"] if one.startswith("test has")]
        assert told[0] == "test has women only."
        assert "fewer than 5 clips of anger (4), joy (4), sadness (4)" in told[1]

    def test_a_fold_takes_the_place_of_the_partition(
        self, client: TestClient, corpus: Corpus
    ) -> None:
        asked = {"corpus": corpus.id, "fold": {"speaker": "test0"}}
        job = client.post("/v1/trainings", json=asked).json()
        assert job["input"]["fold"] == {"number": None, "of": None, "speaker": "test0"}
        assert any("test has one speaker" in one for one in job["warnings"])
        assert any("no partition dev" in one for one in job["warnings"])

    @pytest.mark.parametrize(
        ("fold", "code", "told"),
        [
            ({"speaker": "nobody"}, "unknown_speaker", "nobody"),
            ({"number": 1, "of": 9}, "too_few_speakers", "8 speakers"),
            ({"number": 3, "of": 2}, "invalid", "number is 3"),
            ({"number": 1}, "invalid", "number and of"),
            ({"number": 1, "of": 2, "speaker": "test0"}, "invalid", "number and of"),
            ({}, "invalid", "number and of"),
        ],
    )
    def test_a_fold_that_cannot_be_made_is_422(
        self, client: TestClient, corpus: Corpus, fold: dict[str, object], code: str, told: str
    ) -> None:
        answer = client.post("/v1/trainings", json={"corpus": corpus.id, "fold": fold})
        assert (answer.status_code, answer.json()["code"]) == (422, code)
        assert told in answer.text
        (fault,) = answer.json()["errors"]
        assert fault["field"].split(".")[0] == "fold"

    def test_a_fold_has_no_dev_to_train_on(self, client: TestClient, corpus: Corpus) -> None:
        asked = {"corpus": corpus.id, "fold": {"speaker": "test0"}, "train_on": "train+dev"}
        answer = client.post("/v1/trainings", json=asked)
        assert answer.status_code == 422
        (fault,) = answer.json()["errors"]
        assert (fault["field"], fault["value"]) == ("train_on", "'train+dev'")
        assert "fold test0 has no dev" in fault["message"]

    def test_one_in_use_is_not_deleted(
        self, client: TestClient, post: Post, corpus: Corpus
    ) -> None:
        post()
        answer = client.delete(f"/v1/corpora/{corpus.id}")
        assert answer.status_code == 409
        assert answer.json()["code"] == "corpus_in_use"


class TestWithoutRedis:
    def test_it_is_503_with_retry_after_and_nothing_is_left(
        self, post: Post, session: Session, app: FastAPI, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        away = brief_client("redis://127.0.0.1:1/0", timeout_seconds=0.2)
        monkeypatch.setattr(state(app).queue, "redis", away)
        answer = post()
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) >= 1
        assert jobs(session) == 0
