"""The model resource."""

from typing import Any, Literal

from pydantic import Field

from app.registry.attached import Attached
from app.registry.service import Entry
from app.schemas import Name, Schema, Timestamp
from models.attacks import AnyAttack
from models.audit.figure import Figure
from models.front_ends import described

CNN4_METRICS = {"test": {"clean_uar": 0.63, "fgsm_uar": {"0.02": 0.38, "0.1": 0.03}}}


class ModelUpload(Schema):
    """What is told of an uploaded model besides its weights and its configuration."""

    name: Name = Field(examples=["CNN-4, call centre"])


class ModelDetector(Schema):
    """The detector that is attached to a model."""

    training: str = Field(
        description="That made it. It may have been deleted since.",
        examples=["train_01K9ZQ3W8M4V7T2X6B5N0C1DEF"],
    )
    attack: AnyAttack = Field(description="That it learnt to see.", examples=[{"type": "pgd"}])
    epsilon: float = Field(description="Strength of that attack.", examples=[0.02])
    threshold: float = Field(
        description="An `adversarial_score` above it is an alarm.", examples=[0.93]
    )
    false_alarm_rate: Figure = Field(
        description="Share of clean clips of `test` with a score above the threshold."
    )
    sha256: str = Field(description="Of its weights.", examples=["2c26b46b68ffc68f…"])

    @classmethod
    def of(cls, attached: Attached) -> "ModelDetector":
        """As the model's row tells of it."""
        config = attached.config
        return cls(
            training=config.training,
            attack=config.recipe.attack,
            epsilon=config.recipe.epsilon,
            threshold=config.threshold,
            false_alarm_rate=attached.false_alarm_rate,
            sha256=attached.sha256,
        )


class Model(Schema):
    """A model that can predict and be audited."""

    id: str = Field(examples=["cnn4-single-cremad"])
    object: Literal["model"] = "model"
    name: str = Field(examples=["cnn4-single-cremad"])
    starter: bool = Field(description="Whether it ships with the service.")
    architecture: str = Field(examples=["cnn4"])
    labels: list[str] = Field(
        description="Emotions in the order of the network's outputs.",
        examples=[["anger", "disgust", "fear", "happiness", "neutral", "sadness"]],
    )
    front_end: str = Field(description=described(), examples=["logmel-2"])
    frames: int = Field(description="Frames of a window, 16 ms each.", examples=[187])
    levels_dbfs: tuple[float, float] | None = Field(
        description="Lowest and highest active level that it is meant for: the 1st and 99th"
        " percentile of the clips it was trained on, or those between which its front end hears no"
        " difference. A prediction of speech outside of them has the warning `level`. Null if the"
        " model does not say.",
        examples=[[-42.0, -18.0]],
    )
    defense: dict[str, Any] = Field(
        description="The loss it was trained with.", examples=[{"type": "similarity", "beta": 0.4}]
    )
    metrics: dict[str, Any] = Field(
        description="Unweighted average recall for each partition, clean and, for each epsilon,"
        " under FGSM: of starters and of models trained here, as measured; of an uploaded one"
        " nothing was, and it is empty.",
        examples=[CNN4_METRICS],
    )
    claimed_metrics: dict[str, Any] = Field(
        description="What the configuration of an uploaded model says of it. Nobody here measured"
        " that: audit it."
    )
    sha256: str = Field(description="Of the weights file.", examples=["9f86d081884c7d65…"])
    training: str | None = Field(
        description="The training that made it here.",
        examples=["train_01K9ZQ3W8M4V7T2X6B5N0C1DEF"],
    )
    created_at: Timestamp | None = Field(description="Null for a starter.")
    detector: ModelDetector | None = Field(
        description="Of adversarial clips; null if none is attached."
    )

    @classmethod
    def of(cls, entry: Entry) -> "Model":
        """The resource of a model of the registry."""
        config = entry.config
        return cls(
            id=entry.id,
            name=entry.name,
            starter=entry.owner is None,
            architecture=config.architecture,
            labels=list(config.labels),
            front_end=config.front_end,
            frames=config.frames,
            levels_dbfs=config.levels_dbfs,
            defense=config.defense,
            metrics=entry.metrics,
            claimed_metrics={} if config.metrics == entry.metrics else config.metrics,
            sha256=entry.sha256,
            training=entry.training_id,
            created_at=entry.created_at,
            detector=None if entry.detector is None else ModelDetector.of(entry.detector),
        )
