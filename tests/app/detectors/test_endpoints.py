"""PUT and DELETE /v1/models/{model_id}/detector, and what predictions tell with one."""

from pathlib import Path
from typing import Any

import pytest
import torch
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from app.jobs.states import JobStatus
from app.jobs.tables import Job
from app.persistence.kept import kept_bytes
from app.persistence.storage import Storage
from models.audio import decode
from models.checkpoint import WEIGHTS, weights_bytes
from models.features import LogMel, windows
from tests.app.detectors.made import add_training, detector_net
from tests.app.predictions.clips import good_wav
from tests.app.state import state
from tests.app.tiny import tiny_config, tiny_net
from tests.conftest import MakeKey


@pytest.fixture(autouse=True)
def _starters(starters: Path) -> None:
    """Every test here sees the starters tiny-a and tiny-b."""


@pytest.fixture
def storage(app: FastAPI) -> Storage:
    storage: Storage = state(app).storage
    return storage


def upload(client: TestClient, seed: int = 0, headers: dict[str, str] | None = None) -> Any:
    return client.post(
        "/v1/models",
        files={"weights": (WEIGHTS, weights_bytes(tiny_net(seed=seed)))},
        data={"config": tiny_config().to_json(), "name": "mine"},
        headers=headers,
    ).json()


@pytest.fixture
def model(client: TestClient) -> dict[str, Any]:
    found: dict[str, Any] = upload(client)
    return found


def attach(client: TestClient, model: dict[str, Any], training: str, **options: Any) -> Any:
    path = f"/v1/models/{model['id']}/detector"
    return client.put(path, json={"training": training}, **options)


def predict(client: TestClient, model: dict[str, Any], seconds: float = 0.5) -> dict[str, Any]:
    answer = client.post(
        f"/v1/predict?model={model['id']}",
        content=good_wav(seconds),
        headers={"content-type": "audio/wav"},
    )
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def expected(clip: bytes, seed: int = 0) -> float:
    """What the plain detector says of the most suspicious window."""
    config = tiny_config()
    features = LogMel()(torch.from_numpy(decode(clip).samples))
    with torch.inference_mode():
        logits = detector_net(seed)(windows(config.standardizer(features), config.frames))
    return float(logits.double().sigmoid().max())


class TestAttach:
    def test_the_model_tells_of_it(
        self, client: TestClient, session: Session, storage: Storage, model: dict[str, Any]
    ) -> None:
        assert model["detector"] is None
        training = add_training(session, storage, model)
        before = kept_bytes(session, "local")
        answer = attach(client, model, training)
        assert answer.status_code == 200, answer.text
        found = client.get(f"/v1/models/{model['id']}").json()
        assert answer.json() == found
        detector = found["detector"]
        assert (detector["training"], detector["threshold"]) == (training, 0.75)
        assert (detector["attack"]["type"], detector["epsilon"]) == ("fgsm", 0.04)
        assert detector["false_alarm_rate"]["n"] == 100
        session.expire_all()
        assert kept_bytes(session, "local") > before

    def test_it_outlives_its_training_and_goes_with_its_model(
        self, client: TestClient, session: Session, storage: Storage, model: dict[str, Any]
    ) -> None:
        training = add_training(session, storage, model)
        attach(client, model, training)
        assert client.delete(f"/v1/trainings/{training}").status_code == 204
        assert "adversarial_score" in predict(client, model)
        assert client.delete(f"/v1/models/{model['id']}").status_code == 204
        assert not storage.model_dir(model["id"]).exists()

    def test_another_takes_its_place(
        self, client: TestClient, session: Session, storage: Storage, model: dict[str, Any]
    ) -> None:
        for seed in (0, 1, 2):
            assert (
                attach(client, model, add_training(session, storage, model, seed=seed)).status_code
                == 200
            )
            score = predict(client, model)["adversarial_score"]
            assert score == pytest.approx(expected(good_wav(), seed), abs=1e-6)
        kept = storage.model_dir(model["id"]) / "detectors"
        assert len(list(kept.iterdir())) == 2  # the one before, which may still be read

    def test_another_models_is_refused(
        self, client: TestClient, session: Session, storage: Storage, model: dict[str, Any]
    ) -> None:
        training = add_training(session, storage, upload(client, seed=1))
        answer = attach(client, model, training)
        assert (answer.status_code, answer.json()["code"]) == (422, "other_model")
        assert client.get(f"/v1/models/{model['id']}").json()["detector"] is None

    def test_a_starter_has_none(
        self, client: TestClient, session: Session, storage: Storage
    ) -> None:
        starter = client.get("/v1/models/tiny-a").json()
        answer = attach(client, starter, add_training(session, storage, starter))
        assert (answer.status_code, answer.json()["code"]) == (403, "starter_model")

    def test_a_training_that_has_not_succeeded_is_named(
        self, client: TestClient, session: Session, storage: Storage, model: dict[str, Any]
    ) -> None:
        training = add_training(session, storage, model, status=JobStatus.FAILED)
        answer = attach(client, model, training)
        assert (answer.status_code, answer.json()["code"]) == (409, "training_unfinished")
        assert training in answer.json()["detail"]

    def test_a_training_of_a_model_has_no_detector(
        self, client: TestClient, session: Session, storage: Storage, model: dict[str, Any]
    ) -> None:
        training = add_training(session, storage, model)
        job = session.get_one(Job, training)
        job.request = {"corpus": "corpus"}
        session.commit()
        answer = attach(client, model, training)
        assert (answer.status_code, answer.json()["code"]) == (422, "no_detector")

    def test_what_others_own_is_not_there(
        self,
        client: TestClient,
        session: Session,
        storage: Storage,
        make_key: MakeKey,
    ) -> None:
        mine, theirs = make_key("train"), make_key("train")
        model = upload(client, headers=mine.headers)
        training = add_training(session, storage, model, owner=mine.id)
        answer = attach(client, model, training, headers=theirs.headers)
        assert answer.status_code == 404
        theirs_too = add_training(session, storage, model, owner=theirs.id)
        answer = attach(client, model, theirs_too, headers=theirs.headers)
        assert answer.status_code == 404
        path = f"/v1/models/{model['id']}/detector"
        assert client.delete(path, headers=theirs.headers).status_code == 404


class TestDetach:
    def test_it_is_gone(
        self, client: TestClient, session: Session, storage: Storage, model: dict[str, Any]
    ) -> None:
        before = kept_bytes(session, "local")
        attach(client, model, add_training(session, storage, model))
        path = f"/v1/models/{model['id']}/detector"
        assert client.delete(path).status_code == 204
        assert client.get(f"/v1/models/{model['id']}").json() == model
        assert "adversarial_score" not in predict(client, model)
        session.expire_all()
        assert kept_bytes(session, "local") == before
        answer = client.delete(path)
        assert (answer.status_code, answer.json()["code"]) == (404, "no_detector")


class TestPrediction:
    @pytest.mark.parametrize("seconds", [0.5, 2.0])
    def test_it_carries_the_score_of_the_most_suspicious_window(
        self,
        client: TestClient,
        session: Session,
        storage: Storage,
        model: dict[str, Any],
        seconds: float,
    ) -> None:
        without = predict(client, model, seconds)
        attach(client, model, add_training(session, storage, model))
        found = predict(client, model, seconds)
        score = found.pop("adversarial_score")
        assert score == pytest.approx(expected(good_wav(seconds)), abs=1e-6)
        for each in (without, found):
            del each["request_id"]
        assert found == without
        assert found["windows"] == (1 if seconds == 0.5 else 7)

    def test_each_channel_has_its_own(
        self, client: TestClient, session: Session, storage: Storage, model: dict[str, Any]
    ) -> None:
        attach(client, model, add_training(session, storage, model))
        answer = client.post(
            f"/v1/predict?model={model['id']}&channel=each",
            content=good_wav(),
            headers={"content-type": "audio/wav"},
        )
        (channel,) = answer.json()["channels"]
        assert channel["adversarial_score"] == pytest.approx(expected(good_wav()), abs=1e-6)

    def test_hugging_faces_answer_stays_as_it_is(
        self, client: TestClient, session: Session, storage: Storage, model: dict[str, Any]
    ) -> None:
        attach(client, model, add_training(session, storage, model))
        answer = client.post(
            f"/hf/{model['id']}", content=good_wav(), headers={"content-type": "audio/wav"}
        )
        assert all(set(one) == {"label", "score"} for one in answer.json())

    def test_a_detector_whose_files_were_exchanged_is_not_asked(
        self, client: TestClient, session: Session, storage: Storage, model: dict[str, Any]
    ) -> None:
        attach(client, model, add_training(session, storage, model))
        (path,) = storage.model_dir(model["id"]).glob("detectors/*/detector.safetensors")
        path.write_bytes(path.read_bytes()[:-4] + b"\0\0\0\0")
        answer = client.post(
            f"/v1/predict?model={model['id']}",
            content=good_wav(),
            headers={"content-type": "audio/wav"},
        )
        assert (answer.status_code, answer.json()["code"]) == (500, "detector_damaged")
        assert "DELETE" in answer.json()["detail"]
