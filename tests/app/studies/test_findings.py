"""What is known of the cells of a study, from its jobs and models."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.jobs.services import Services
from app.jobs.states import JobKind
from app.jobs.tables import Job
from app.registry.tables import Model
from app.studies import findings
from app.studies.schemas import StudyRequest
from models.studies.outcome import CellOutcome
from tests.app.studies.conftest import End, Submit

Outcome = Callable[..., CellOutcome]


@pytest.fixture
def outcome(services: Services, session: Session, submit: Submit, end: End) -> Outcome:
    """Train one cell, whose model says something, and read what is known of it."""

    def outcome(action: str, training: dict[str, Any] | None) -> CellOutcome:
        study_id = submit(
            trainings=["vanilla"], train_on=["train"], recipe={"on_overfitting": action}
        )["id"]
        query = select(Job).where(Job.parent_id == study_id, Job.kind == JobKind.TRAINING)
        job = session.scalars(query).one()
        end(job)
        session.rollback()
        model = session.scalars(select(Model).where(Model.training_id == job.id)).one()
        if training is None:
            session.delete(model)
        else:
            model.config = {"training": training}
        session.commit()
        study = session.get_one(Job, study_id)
        request = StudyRequest.model_validate(study.request)
        (cell,) = findings.read(session, services.storage, study, request).cells
        return cell

    return outcome


def alarm(action: str) -> dict[str, Any]:
    """Overfitting at iteration 3 of 4, the best model at 2."""
    return {
        "iteration": 3, "fgsm_uar": 0.7, "pgd_uar": 0.0, "best_iteration": 2,
        "best_fgsm_uar": 0.5, "best_pgd_uar": 0.4, "action": action,
        "model_iteration": {"warn": 4, "stop": 3, "best": 2}[action],
    }  # fmt: skip


class TestIterations:
    """A study trains for 4."""

    @pytest.mark.parametrize("action", ["stop", "best"])
    def test_of_a_training_that_ended_itself_are_those_that_took_its_time(
        self, outcome: Outcome, action: str
    ) -> None:
        found = outcome(action, {"overfitting": alarm(action), "device": "cpu"})
        assert (found.iterations, found.device, found.missing) == (3, "cpu", None)

    @pytest.mark.parametrize(
        ("action", "training"),
        [("warn", {"overfitting": alarm("warn")}), ("stop", {}), ("warn", None)],
    )
    def test_of_one_that_did_not_are_all(
        self, outcome: Outcome, action: str, training: dict[str, Any] | None
    ) -> None:
        assert outcome(action, training).iterations == 4

    def test_of_one_whose_model_was_deleted_are_unknown_where_it_may_have(
        self, outcome: Outcome
    ) -> None:
        assert outcome("stop", None).iterations is None
