"""What the training of a detector is asked for, and what it answers.

How to train is `models.detectors.plan.DetectorRecipe`: its fields are declared there, only there.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, Self

from pydantic import Field

from app.persistence.storage import Storage
from app.schemas import Metadata, Schema
from models.detectors.evaluation import DetectorMetrics
from models.detectors.plan import DetectorRecipe

TYPE: Final = "detector"


class DetectorRequest(Schema, DetectorRecipe):
    """Train a detector of adversarial clips for a model. `type`, `model` and `corpus` must be
    given. It learns from `train` of the corpus, its threshold is chosen on `dev`, and its figures
    are those of `test`."""

    type: Literal["detector"]
    model: str = Field(
        max_length=64,
        description="That it is for: it is bound to these weights, and serves no other model.",
        examples=["model_01K9ZQ3W8M4V7T2X6B5N0C1DEF"],
    )
    corpus: str = Field(
        max_length=64,
        description="Best that of the model's own training.",
        examples=["corpus_01K9ZQ3W8M4V7T2X6B5N0C1DEF"],
    )
    attach: bool = Field(
        default=True,
        strict=True,
        description="Attach it to the model when it is done, in place of any before: predictions"
        " then carry `adversarial_score`. Not to a starter, which is everybody's.",
    )
    evaluate_clips: int = Field(
        default=256,
        ge=1,
        le=100_000,
        description="Clips of `test` that it is examined on under each attack, drawn with the"
        " partition's mixture of emotions. False alarms are counted on all of `test`.",
    )
    metadata: Metadata | None = Field(
        default=None,
        description="Notes of your own, returned as they came.",
        examples=[{"ticket": "QA-19"}],
    )

    @classmethod
    def of_stored(cls, request: Mapping[str, Any]) -> Self:
        """What a job was asked for."""
        return cls.model_validate(request)

    def to_request(self) -> dict[str, Any]:
        """What is stored: every default spelt out, so that a later release trains the same."""
        return self.model_dump(mode="json", exclude={"metadata"})


def detector_dir(storage: Storage, job_id: str, attempt: int) -> Path:
    """Where the attempt of that number at a training publishes the detector that it has made."""
    return storage.job_dir(job_id) / f"attempt-{attempt:04d}"


class DetectorResult(Schema):
    """What the training of a detector leaves behind."""

    model: str = Field(description="That it is for.", examples=["model_01K9ZQ3W8M4V7T2X6B5N0C1DEF"])
    attached: bool = Field(description="Whether this training attached it to the model.")
    detector: str = Field(
        description="SHA-256 of the detector's weights.", examples=["2c26b46b68ffc68f…"]
    )
    metrics: DetectorMetrics
