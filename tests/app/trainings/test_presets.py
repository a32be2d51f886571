"""A preset in a request for a training: it is expanded when it comes, and never again."""

from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from app.corpora.tables import Corpus
from app.trainings.schemas import TrainingRequest
from models.training_presets import TRAINING_PRESETS
from models.training_presets.icassp2020_reference_code import Icassp2020ReferenceCode
from tests.app.state import state
from tests.speechless import add_corpus

PAPER = "icassp2020-paper"


@pytest.fixture
def corpus(client: TestClient, session: Session) -> Corpus:
    return add_corpus(session, state(client.app).storage)


@pytest.fixture
def body(corpus: Corpus) -> dict[str, Any]:
    return {"corpus": corpus.id, "preset": PAPER, "defense": {"type": "similarity"}}


def stored(client: TestClient, request: dict[str, Any]) -> dict[str, Any]:
    """What a job keeps of a request."""
    answer = client.post("/v1/trainings", json=request)
    assert answer.status_code == 202, answer.text
    found: dict[str, Any] = answer.json()["input"]
    return found


class TestPreset:
    def test_is_stored_by_its_name_beside_all_that_it_stands_for(
        self, client: TestClient, body: dict[str, Any]
    ) -> None:
        found = stored(client, body)
        assert found["preset"] == PAPER
        assert (found["decay"], found["front_end"], found["frames"]) == (0.9, "logmel-1", 373)
        assert found["defense"]["distance"] == "l2"
        code = stored(client, body | {"preset": "icassp2020-reference-code"})
        assert (code["decay"], code["defense"]["distance"]) == (1, "mse")
        assert (code["attack"]["labels"], code["attack"]["clip"]) == ("predicted", 0.1)

    def test_gives_a_training_without_adversary_no_attack(
        self, client: TestClient, body: dict[str, Any]
    ) -> None:
        code = body | {"preset": "icassp2020-reference-code"}
        for plain in (code | {"defense": {"type": "single"}}, code | {"defense": {}}):
            assert stored(client, plain)["attack"]["labels"] == "true"

    def test_of_a_stored_request_can_be_asked_for_again(
        self, client: TestClient, body: dict[str, Any]
    ) -> None:
        found = stored(client, body)
        assert stored(client, found) == found

    def test_that_means_something_else_today_changes_no_stored_request(
        self, client: TestClient, body: dict[str, Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        found = stored(client, body)
        monkeypatch.setitem(TRAINING_PRESETS, PAPER, Icassp2020ReferenceCode)
        assert TrainingRequest.of_stored(found).to_request() == found

    @pytest.mark.parametrize(
        ("more", "field"),
        [
            ({"iterations": 30}, "iterations"),
            ({"front_end": "logmel-2"}, "front_end"),
            ({"augment": [{"type": "gain", "db": [6]}]}, "augment"),
            ({"defense": {"type": "similarity", "distance": "mse"}}, "defense.distance"),
            ({"attack": {"type": "pgd"}}, "attack"),
            ({"preset": "paper"}, "preset"),
        ],
    )
    def test_beside_which_something_else_is_asked_for_is_422(
        self, client: TestClient, body: dict[str, Any], more: dict[str, Any], field: str
    ) -> None:
        answer = client.post("/v1/trainings", json=body | more)
        assert answer.status_code == 422
        (fault,) = answer.json()["errors"]
        assert fault["field"] == field
        assert "leave one of the two out" in fault["remedy"] or PAPER in fault["remedy"]
