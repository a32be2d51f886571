"""A detector as a training leaves it, without the training."""

from typing import Any

import torch
from sqlalchemy.orm import Session

from app.jobs.states import JobKind, JobStatus
from app.jobs.tables import Job
from app.persistence.ids import new_id
from app.persistence.storage import Storage
from app.trainings.detector_request import DetectorRequest, detector_dir
from models.audit.figure import Figure
from models.detectors import DetectorConfig, DetectorNet, DetectorRecipe, save_detector


def detector_net(seed: int = 0) -> DetectorNet:
    """A detector with weights of its own."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return DetectorNet().eval()


def add_training(
    session: Session,
    storage: Storage,
    model: dict[str, Any],
    *,
    seed: int = 0,
    owner: str = "local",
    status: JobStatus = JobStatus.SUCCEEDED,
) -> str:
    """The id of a training of a detector for a model, as GET /v1/models/{id} tells of it."""
    training = new_id("train")
    folder = detector_dir(storage, training, 1)
    folder.mkdir(parents=True)
    config = DetectorConfig(
        model_sha256=model["sha256"],
        threshold=0.75,
        recipe=DetectorRecipe(epsilon=0.04),
        corpus="corpus",
        training=training,
    )
    digest = save_detector(folder, detector_net(seed), config)
    alarms = Figure(value=0.01, interval=(0.0, 0.02), n=100, n_speakers=9, method="wilson")
    told = alarms.model_dump(mode="json")
    request = {"type": "detector", "model": model["id"], "corpus": "corpus"}
    result = {
        "model": model["id"],
        "attached": False,
        "detector": digest,
        "metrics": {
            "threshold": 0.75,
            "false_alarm_rate": {"dev": told, "test": told},
            "rows": [],
        },
    }
    session.add(
        Job(
            id=training,
            kind=JobKind.TRAINING,
            owner=owner,
            status=status,
            attempt=1,
            request=DetectorRequest.model_validate(request).to_request(),
            result=result if status is JobStatus.SUCCEEDED else None,
        )
    )
    session.commit()
    return training
