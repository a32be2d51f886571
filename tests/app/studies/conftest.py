"""A corpus to learn from, a network of a few weights, and jobs that end when a test says so."""

from collections.abc import Callable
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.corpora.tables import Corpus
from app.jobs.attempts import claim
from app.jobs.services import Services
from app.jobs.states import JobKind
from app.jobs.tables import Job
from app.persistence.ids import new_id
from app.registry.tables import Model
from app.studies import driving
from tests.app.state import state
from tests.speechless import add_corpus

Study = dict[str, Any]
Submit = Callable[..., Study]
End = Callable[..., None]


@pytest.fixture
def services(app: FastAPI, client: TestClient) -> Services:
    """Those of the running application."""
    return state(app)


@pytest.fixture
def corpus(services: Services, session: Session, tiny_architecture: None) -> Corpus:
    return add_corpus(session, services.storage)


@pytest.fixture
def submit(client: TestClient, corpus: Corpus) -> Submit:
    """Submit a study of four cells: two trainings, the second at one strength, on train and on
    train+dev."""

    def submit(**wanted: Any) -> Study:
        answer = client.post("/v1/studies", json=small(corpus) | wanted)
        assert answer.status_code == 202, answer.text
        found: Study = answer.json()
        return found

    return submit


def small(corpus: Corpus) -> dict[str, Any]:
    return {
        "corpus": corpus.id,
        "architectures": ["tiny"],
        "trainings": ["single", "vanilla"],
        "epsilons": [0.02],
        "iterations": 4,
        "recipe": {"batch_size": 4, "frames": 32},
    }


@pytest.fixture
def children(session: Session) -> Callable[..., list[Job]]:
    """The jobs that a study has caused, oldest first."""

    def children(study: Study, kind: JobKind | None = None) -> list[Job]:
        session.rollback()
        query = select(Job).where(Job.parent_id == study["id"]).order_by(Job.created_at, Job.id)
        found = session.scalars(query.execution_options(populate_existing=True))
        return [job for job in found if kind is None or job.kind is kind]

    return children


@pytest.fixture
def end(services: Services) -> End:
    """End a job as its worker does, and drive the studies that wait for it."""

    def end(job: Job, error: str | None = None) -> None:
        attempt = claim(services.sessions, job.id)
        assert attempt is not None
        if error is not None:
            attempt.fail({"code": error, "message": "It did not go well."})
        elif job.kind is JobKind.TRAINING:
            attempt.succeed({"metrics": {}}, publish=lambda session: _model(session, job))
        else:
            attempt.succeed({})
        driving.drive_all_with(services, job.id)

    return end


def _model(session: Session, job: Job) -> dict[str, Any]:
    model = Model(
        id=new_id("model"),
        owner=job.owner,
        name="tiny",
        architecture="tiny",
        labels=["anger", "joy", "sadness"],
        config={},
        sha256="0" * 64,
        training_id=job.id,
    )
    session.add(model)
    session.flush()
    return {"model": model.id}
