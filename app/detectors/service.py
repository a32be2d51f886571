"""Attaching what a training has made to its model, and detaching it."""

from sqlalchemy.orm import Session

from app.errors import Conflict, Invalid
from app.jobs import service as jobs
from app.jobs.states import JobKind, JobStatus
from app.persistence.storage import Storage
from app.registry import detectors
from app.registry import service as registry
from app.registry.service import Entry
from app.trainings.detector_request import TYPE, DetectorResult, detector_dir


def attach(
    session: Session, storage: Storage, model_id: str, training_id: str, *, owner: str
) -> Entry:
    """Attach the detector that a training has made, and commit it.

    Raises:
        NotFound: there is no such model or training, or it is another key's.
        Forbidden: the model is a starter.
        Conflict: the training has not succeeded.
        Invalid: it has not made a detector, or one of another model.
    """
    job = jobs.get(session, training_id, owner=owner, kind=JobKind.TRAINING)
    if job.request.get("type") != TYPE:
        raise Invalid.of(
            "training",
            training_id,
            "it trains no detector",
            'give one that was posted with "type": "detector"',
            code="no_detector",
        )
    if job.status is not JobStatus.SUCCEEDED or job.result is None:
        raise Conflict(
            f"{training_id} is {job.status}: attach its detector when it has succeeded.",
            code="training_unfinished",
        )
    made = DetectorResult.model_validate(job.result)
    detectors.attach(
        session,
        storage,
        model_id,
        detector_dir(storage, job.id, job.attempt),
        made.metrics.false_alarm_rate["test"],
        owner=owner,
    )
    session.commit()
    return registry.get(session, storage, model_id, owner=owner)


def detach(session: Session, storage: Storage, model_id: str, *, owner: str) -> None:
    """Take the detector off its model, and commit it.

    Raises:
        NotFound: there is no such model, it is another key's, or it has no detector.
        Forbidden: it is a starter.
    """
    detectors.detach(session, storage, model_id, owner=owner)
