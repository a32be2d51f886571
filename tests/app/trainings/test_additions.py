"""A defence or an architecture that is one file is there for clients at once.

Those of docs/adding-a-defense.md and docs/adding-an-architecture.md, which nothing else names.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from app.corpora.tables import Corpus
from tests.app.state import state
from tests.models.pages import added
from tests.speechless import add_corpus


@pytest.fixture(autouse=True)
def _both() -> Iterator[None]:
    with added("adding-a-defense.md"), added("adding-an-architecture.md"):
        yield


@pytest.fixture
def corpus(client: TestClient, app: FastAPI, session: Session) -> Corpus:
    return add_corpus(session, state(app).storage)


@pytest.fixture
def document(client: TestClient) -> dict[str, Any]:
    found: dict[str, Any] = client.get("/openapi.json").json()["components"]["schemas"]
    return found


class TestDefense:
    def test_a_training_takes_it_with_its_default(self, client: TestClient, corpus: Corpus) -> None:
        wanted = {"corpus": corpus.id, "defense": {"type": "logit-pairing"}}
        answer = client.post("/v1/trainings", json=wanted)
        assert answer.status_code == 202, answer.text
        assert answer.json()["input"]["defense"] == {"type": "logit-pairing", "weight": 0.5}

    def test_its_bounds_are_kept_and_its_field_is_named(
        self, client: TestClient, corpus: Corpus
    ) -> None:
        wanted = {"corpus": corpus.id, "defense": {"type": "logit-pairing", "weight": -1}}
        (fault,) = client.post("/v1/trainings", json=wanted).json()["errors"]
        assert (fault["field"], fault["value"]) == ("defense.weight", "-1")

    def test_the_document_describes_it(self, document: dict[str, Any]) -> None:
        described = document["LogitPairing"]["properties"]["weight"]
        assert (described["default"], described["maximum"]) == (0.5, 100)
        for request, field in (("TrainingRequest", "defense"), ("Harden", "defense")):
            union = str(document[request]["properties"][field])
            assert "#/components/schemas/LogitPairing" in union


class TestArchitecture:
    def test_a_training_takes_it(self, client: TestClient, corpus: Corpus) -> None:
        wanted = {"corpus": corpus.id, "architecture": "small"}
        answer = client.post("/v1/trainings", json=wanted)
        assert answer.status_code == 202, answer.text
        assert answer.json()["input"]["architecture"] == "small"

    def test_the_document_and_the_refusal_of_another_name_it(
        self, client: TestClient, corpus: Corpus, document: dict[str, Any]
    ) -> None:
        assert "small" in document["TrainingRequest"]["properties"]["architecture"]["enum"]
        wanted = {"corpus": corpus.id, "architecture": "large"}
        (fault,) = client.post("/v1/trainings", json=wanted).json()["errors"]
        assert fault["remedy"] == "choose one of cnn4, resnet50, small, vgg16"
