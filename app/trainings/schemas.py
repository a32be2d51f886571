"""What a training is asked for, and what it answers. Defaults are the paper's."""

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from app.schemas import Metadata, Name, Schema
from models.architectures import ARCHITECTURES
from models.architectures.base import MIN_FRAMES
from models.checkpoint import MAX_FRAMES
from models.features import FRAMES
from models.training import Defense, TrainingPlan


class Single(Schema):
    """Clean data alone: no defence."""

    type: Literal["single"] = "single"


class Vanilla(Schema):
    """Adversarial training (Eq. 3): alpha · L(x) + (1 - alpha) · L(x')."""

    type: Literal["vanilla"]
    alpha: float = Field(default=0.5, ge=0, le=1, description="Weight of the clean loss.")


class Similarity(Schema):
    """Similarity-based adversarial training (Eq. 4):
    beta · L(x) + gamma · L(x') + (1 - beta - gamma) · d(v, v')."""

    type: Literal["similarity"]
    beta: float = Field(default=0.4, ge=0, le=1, description="Weight of the clean loss.")
    gamma: float = Field(default=0.4, ge=0, le=1, description="Weight of the adversarial loss.")
    distance: Literal["mse", "l2"] = Field(
        default="mse",
        description="How embeddings are compared: their mean squared error, as in the authors'"
        " code, or the L2 norm of Eq. 4. The two differ by orders of magnitude.",
    )

    @model_validator(mode="after")
    def _leave_something(self) -> Self:
        if self.beta + self.gamma > 1:
            raise ValueError(
                f"beta + gamma is {self.beta + self.gamma:g}: give weights that sum to at most 1;"
                " the rest is the weight of the distance"
            )
        return self


AnyDefense = Annotated[Single | Vanilla | Similarity, Field(discriminator="type")]


def _known(name: str) -> str:
    if name not in ARCHITECTURES:
        raise ValueError(f"choose one of {', '.join(sorted(ARCHITECTURES))}")
    return name


Architecture = Annotated[
    str, AfterValidator(_known), Field(json_schema_extra={"enum": sorted(ARCHITECTURES)})
]


class TrainingRequest(Schema):
    """What determines a training. Only `corpus` must be given."""

    corpus: str = Field(max_length=64, examples=["corpus_01K9ZQ3W8M4V7T2X6B5N0C1DEF"])
    name: Name | None = Field(default=None, description="Of the model; made up if not given.")
    architecture: Architecture = "cnn4"
    defense: AnyDefense = Field(default_factory=Single, examples=[{"type": "vanilla"}])
    epsilon: float = Field(
        default=0.02,
        ge=0,
        le=10,
        description="FGSM step of the adversarial batches, in standard deviations of a mel band.",
    )
    clip: float | None = Field(
        default=0.1, gt=0, le=10, description="η of Eq. 2: no value is changed by more."
    )
    labels: Literal["true", "predicted"] = Field(
        default="true",
        description="What the attack moves away from: the paper writes the true label, the"
        " authors' code takes the model's prediction.",
    )
    iterations: int = Field(default=10_000, ge=1, le=10_000_000)
    adversarial_from: int | None = Field(
        default=None,
        ge=0,
        le=10_000_000,
        description="Iteration at which adversarial data enter: 1,000, or after a tenth of a"
        " shorter training.",
    )
    batch_size: int = Field(default=16, ge=2, le=1024, description="Clips of one step.")
    learning_rate: float = Field(default=1e-3, gt=0, le=1)
    decay: float = Field(
        default=0.9, gt=0, le=1, description="Factor on the learning rate, each `decay_every`."
    )
    decay_every: int = Field(default=100, ge=1, le=10_000_000, description="Iterations.")
    cooldown: int = Field(
        default=0,
        ge=0,
        le=10_000_000,
        description="Last iterations, over which the learning rate also falls linearly to zero. The"
        " paper's 10,000 iterations need none; a short training ends on a much better model with"
        " an eighth of its iterations.",
    )
    frames: int = Field(
        default=FRAMES,
        ge=MIN_FRAMES,
        le=MAX_FRAMES,
        description="Window of the network; 16 ms a frame. Shorter clips are repeated.",
    )
    seed: int = Field(
        default=0, ge=0, le=2**31 - 1, description="Of the first weights and the order of clips."
    )
    train_on: Literal["train", "train+dev"] = Field(
        default="train",
        description="The paper tunes on `dev` with a model trained on `train`, and tests one"
        " trained on both.",
    )
    evaluate_every: int | None = Field(
        default=None,
        ge=0,
        le=10_000_000,
        description="Iterations between looks at `dev`, clean and under FGSM at `epsilon`, on at"
        " most 256 of its clips, always the same; a tenth of the training if not given, 0 for"
        " none. At the end every clip of `dev` and `test` is scored.",
    )
    metadata: Metadata | None = Field(
        default=None,
        description="Notes of your own, returned as they came.",
        examples=[{"ticket": "QA-18"}],
    )

    @model_validator(mode="after")
    def _within_the_clip(self) -> Self:
        if self.clip is not None and self.epsilon > self.clip:
            raise ValueError(
                f"epsilon {self.epsilon:g} is larger than clip {self.clip:g} and would be cut to"
                " it: give a smaller epsilon, a larger clip, or clip null"
            )
        return self

    def plan(self, n_classes: int) -> TrainingPlan:
        """The plan of the training for so many emotions."""
        return TrainingPlan(
            architecture=self.architecture,
            n_classes=n_classes,
            defense=Defense(**self.defense.model_dump()),
            epsilon=self.epsilon,
            clip=self.clip,
            labels=self.labels,
            iterations=self.iterations,
            adversarial_from=self.adversarial_from,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            decay=self.decay,
            decay_every=self.decay_every,
            cooldown=self.cooldown,
            frames=self.frames,
            seed=self.seed,
        )

    @property
    def looks_every(self) -> int:
        """Iterations between looks at `dev`; 0 for none."""
        if self.evaluate_every is not None:
            return self.evaluate_every
        return max(1, self.iterations // 10)

    def to_request(self) -> dict[str, Any]:
        """What is stored: every default spelt out, so that a later release trains the same."""
        return self.model_dump(mode="json", exclude={"metadata"})


class PartitionMetrics(Schema):
    """How well the model does on one partition."""

    clips: int = Field(examples=[1020])
    clean_uar: float = Field(description="Unweighted average recall.", examples=[0.6283])
    fgsm_uar: dict[str, float] = Field(
        description="The same under FGSM, by its strength.", examples=[{"0.02": 0.475}]
    )


class TrainingResult(Schema):
    """What a training leaves behind."""

    model: str = Field(examples=["model_01K9ZQ3W8M4V7T2X6B5N0C1DEF"])
    metrics: dict[str, PartitionMetrics] = Field(
        description="Of `dev` and `test`, where the corpus has them and they were not learnt from."
    )
