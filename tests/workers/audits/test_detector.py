"""Audits that ask the model's detector too."""

from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from app.corpora.tables import Corpus
from tests.app.detectors.made import add_training
from tests.workers.audits.audits import CLIPS, audited, done, ended, request, rows, submit
from workers.runtime.context import WorkerContext


@pytest.fixture
def guarded(client: TestClient, session: Session, context: WorkerContext, model: str) -> str:
    """A model with a detector."""
    told = client.get(f"/v1/models/{model}").json()
    training = add_training(session, context.storage, told)
    answer = client.put(f"/v1/models/{model}/detector", json={"training": training})
    assert answer.status_code == 200, answer.text
    return model


def test_figures_with_a_detected_clip_as_not_broken_stand_beside_the_usual_ones(
    client: TestClient, context: WorkerContext, guarded: str, corpus: Corpus
) -> None:
    usual = audited(client, request(guarded, corpus))["result"]
    job = audited(client, request(guarded, corpus, detector=True))
    result, found = job["result"], rows(context, job["id"])
    threshold = client.get(f"/v1/models/{guarded}").json()["detector"]["threshold"]
    for row in found:
        for said in (row["clean"], *row["attacked"]):
            detection = said["detection"]
            assert detection["alarm"] == (detection["adversarial_score"] > threshold)
    alarms = [row["clean"]["detection"]["alarm"] for row in found]
    assert result["clean"]["measures"]["alarm_rate"]["value"] == sum(alarms) / CLIPS
    for place, point in enumerate(result["curve"]):
        under = [row["attacked"][place] for row in found]
        unnoticed = [one["success"] and not one["detection"]["alarm"] for one in under]
        right = sum(one["success"] is not None for one in under)
        assert point["measures"]["unnoticed_rate"]["value"] == sum(map(bool, unnoticed)) / right
        assert point["measures"]["unnoticed_rate"]["n"] == right
        others = usual["curve"][place]["measures"]
        assert {name: point["measures"][name] for name in others} == others
        assert {"alarm_rate", "unnoticed_rate", "adversarial_auc"} & others.keys() == set()
    report = client.get(f"/v1/audits/{job['id']}/report").json()
    assert len(report["model"]["detector_sha256"]) == 64


def test_a_model_without_a_detector_is_refused(
    client: TestClient, model: str, corpus: Corpus
) -> None:
    answer = client.post("/v1/audits", json=request(model, corpus, detector=True))
    assert (answer.status_code, answer.json()["code"]) == (422, "no_detector")
    assert answer.json()["errors"][0]["field"] == "detector"


def test_a_detector_that_went_before_the_audit_began_is_told(
    client: TestClient, context: WorkerContext, guarded: str, corpus: Corpus
) -> None:
    job = submit(client, request(guarded, corpus, detector=True))
    client.delete(f"/v1/models/{guarded}/detector")
    error: dict[str, Any] = ended(client, job)["error"]
    assert error["code"] == "no_detector"


def test_there_is_no_bundle_of_it(
    client: TestClient, context: WorkerContext, guarded: str, corpus: Corpus
) -> None:
    job = done(client, submit(client, request(guarded, corpus, detector=True)))
    answer = client.get(f"/v1/audits/{job['id']}/bundle")
    assert (answer.status_code, answer.json()["code"]) == (409, "detector_asked")
