"""The training that an audit would start is judged before the audit is queued, by its fields."""

from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.corpora.tables import Corpus
from app.jobs.tables import Job
from tests.app.state import state
from tests.speechless import add_corpus, manifest


@pytest.fixture
def corpus(client: TestClient, app: FastAPI, session: Session, starters: Path) -> Corpus:
    """Of the emotions that the starters know."""
    return add_corpus(session, state(app).storage, manifest(("calm", "cross", "sad")))


def audit(client: TestClient, corpus: Corpus, harden: dict[str, Any]) -> Any:
    when = {"epsilon": 0.02, "success_rate_above": 0.3}
    attacks = [{"type": "fgsm", "epsilon": [0.02]}]
    wanted = {"model": "tiny-a", "corpus": corpus.id, "attacks": attacks}
    return client.post("/v1/audits", json={**wanted, "harden": {"when": when, **harden}})


@pytest.mark.parametrize(
    "harden",
    [
        {"defense": {"type": "trades", "beta": 3}},
        {"defense": {"type": "vanilla"}, "attack": {"type": "pgd", "steps": 7}},
    ],
)
def test_any_defence_hardens(client: TestClient, corpus: Corpus, harden: dict[str, Any]) -> None:
    answer = audit(client, corpus, harden)
    assert answer.status_code == 202, answer.text


@pytest.mark.parametrize(
    ("harden", "field"),
    [
        ({"defense": {"type": "trades", "steps": 0}}, "harden.defense.steps"),
        ({"defense": {"type": "single"}}, "harden.defense.type"),
        ({"defense": {}}, "harden.defense.type"),
        ({"defense": {"type": "trades"}, "attack": {"type": "pgd"}}, "harden.attack"),
        (
            {"defense": {"type": "vanilla"}, "attack": {"type": "pgd", "domain": "waveform"}},
            "harden.attack",
        ),
        ({"defense": {"type": "vanilla"}, "iterations": 100_001}, "harden.iterations"),
    ],
)
def test_what_could_not_be_trained_is_422_at_its_field_and_nothing_is_queued(
    client: TestClient, corpus: Corpus, session: Session, harden: dict[str, Any], field: str
) -> None:
    answer = audit(client, corpus, harden)
    assert answer.status_code == 422, answer.text
    assert [fault["field"] for fault in answer.json()["errors"]] == [field]
    assert session.scalar(select(func.count(Job.id))) == 0
