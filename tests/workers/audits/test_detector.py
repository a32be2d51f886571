"""Audits that ask the model's detector too."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from app.corpora.tables import Corpus
from app.jobs.shards import shard_id
from app.jobs.states import JobKind
from tests.app.detectors.made import add_training
from tests.workers.audits.audits import CLIPS, audited, done, ended, request, rows, submit
from tests.workers.audits.conftest import NO_PICTURES, Passes
from tests.workers.audits.test_resuming import before_pass, put_down
from workers.audits import audit_job
from workers.jobs import PERFORM, PERFORM_SHARD
from workers.runtime.context import WorkerContext
from workers.runtime.run import configure, run

Attach = Callable[[int], None]


@pytest.fixture
def attach(client: TestClient, session: Session, context: WorkerContext, model: str) -> Attach:
    """Attaches the detector of that seed to the model."""

    def attach(seed: int) -> None:
        told = client.get(f"/v1/models/{model}").json()
        training = add_training(session, context.storage, told, seed=seed)
        answer = client.put(f"/v1/models/{model}/detector", json={"training": training})
        assert answer.status_code == 200, answer.text

    return attach


@pytest.fixture
def guarded(model: str, attach: Attach) -> str:
    """A model with a detector."""
    attach(0)
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


def test_an_attempt_goes_on_with_the_detector_that_the_first_one_asked_and_no_other(
    client: TestClient,
    guarded: str,
    attach: Attach,
    corpus: Corpus,
    passes: Passes,
) -> None:
    same, other = (submit(client, request(guarded, corpus, detector=True)) for _ in range(2))
    for job in (same, other):
        put_down(client, job, passes, before_pass(8))
    attach(1)
    error: dict[str, Any] = ended(client, other)["error"]
    assert error["code"] == "detector_changed"
    assert "Submit the audit again" in error["message"]
    attach(0)
    assert done(client, same)["attempt"] == 2


def test_a_shard_that_finds_another_detector_ends_the_audit(
    client: TestClient,
    context: WorkerContext,
    guarded: str,
    attach: Attach,
    corpus: Corpus,
    passes: Passes,
) -> None:
    settings = context.settings.model_copy(update={"audit_shard_passes": 1})
    quick = partial(audit_job.perform, pictures=NO_PICTURES)
    made = replace(context, settings=settings)
    configure(made, {**PERFORM, JobKind.AUDIT: quick}, PERFORM_SHARD)
    job = submit(client, request(guarded, corpus, detector=True))

    def elsewhere(pass_: int) -> None:
        if pass_ == 1:
            attach(1)
            run(shard_id(job, 3))

    passes.before = elsewhere
    error: dict[str, Any] = ended(client, job)["error"]
    assert error["code"] == "detector_changed"


def test_there_is_no_bundle_of_it(
    client: TestClient, context: WorkerContext, guarded: str, corpus: Corpus
) -> None:
    job = done(client, submit(client, request(guarded, corpus, detector=True)))
    answer = client.get(f"/v1/audits/{job['id']}/bundle")
    assert (answer.status_code, answer.json()["code"]) == (409, "detector_asked")
