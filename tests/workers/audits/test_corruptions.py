"""Corruptions in audits: presets, forecasts, and an audit that goes on after a stop."""

from typing import Any

import pytest
from fastapi.testclient import TestClient

from app.corpora.tables import Corpus
from models.presets.robuser import Robuser
from tests.workers.audits.audits import CLIPS, audited, done, submit
from tests.workers.audits.conftest import Passes
from tests.workers.audits.test_resuming import before_pass, published, put_down
from workers.runtime.context import WorkerContext


@pytest.fixture
def body(model: str, corpus: Corpus) -> dict[str, Any]:
    return {"model": model, "corpus": corpus.id}


class TestPreset:
    def test_is_stored_as_the_corruptions_that_it_is_behind_ones_own(
        self, client: TestClient, body: dict[str, Any]
    ) -> None:
        own = {"type": "dither", "lsb": [4]}
        asked = body | {"preset": "robuser", "corruptions": [own]}
        job = client.post("/v1/audits", json=asked).json()
        first, *rest = job["input"]["corruptions"]
        assert first == own
        assert rest == [one.model_dump(mode="json") for one in Robuser.corruptions]
        assert job["input"]["preset"] == "robuser"
        again = client.post("/v1/audits", json=job["input"])
        assert again.json()["input"] == job["input"]


class TestForecast:
    def test_counts_a_pass_a_clip_and_strength(
        self, client: TestClient, body: dict[str, Any]
    ) -> None:
        asked = body | {"corruptions": [{"type": "gain", "db": [-20, 6]}]}
        told = client.post("/v1/audits?dry_run=true", json=asked).json()
        assert (told["forwards"], told["backwards"], told["exact"]) == (CLIPS * 3, 0, True)


class TestResuming:
    @pytest.mark.parametrize("number", [2, 4, 7])
    def test_an_audit_that_was_stopped_ends_with_the_same_rows(
        self,
        client: TestClient,
        body: dict[str, Any],
        context: WorkerContext,
        passes: Passes,
        number: int,
    ) -> None:
        corruptions = [
            {"type": "noise", "snr_db": [20, 0], "color": "babble"},
            {"type": "silence", "seconds": [0.3]},
        ]
        asked = body | {"corruptions": corruptions, "limit": 7}
        whole = audited(client, asked)
        job_id = submit(client, asked)
        put_down(client, job_id, passes, before_pass(number))
        job = done(client, job_id)
        assert job["attempt"] == 2
        assert published(context, job) == published(context, whole)
