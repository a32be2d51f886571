"""What a training is asked for, and what it answers.

How to train is `models.training_plan.Recipe`: its fields are declared there, and only there.
"""

from collections.abc import Mapping
from typing import Any, Final, Self

from pydantic import Field, ValidationInfo, model_validator

from app.defaults import FRONT_END
from app.schemas import Metadata, Name, Schema, at
from app.trainings.expansion import differing, expanded, named
from models.checkpoint import FIRST_FRONT_END
from models.corpus.folds import Fold
from models.front_ends import FrontEndName, described
from models.overfitting import Overfitting
from models.provenance import TrainedOn
from models.training_plan import MAX_ITERATIONS, Recipe, TrainingPlan
from models.training_presets import TrainingPresetName
from models.training_presets import described as described_presets

MAY_CHANGE: Final = (
    "learning_rate",
    "decay",
    "decay_every",
    "cooldown",
    "epsilon",
    "epsilon_ramp",
    "on_overfitting",
)
"""Fields in which a training may differ from the diverged one that it goes on from."""
STORED: Final = object()
"""The context of a request that was stored: it has all fields."""


class TrainingRequest(Schema, Recipe):
    """What determines a training. Only `corpus` must be given."""

    corpus: str = Field(max_length=64, examples=["corpus_01K9ZQ3W8M4V7T2X6B5N0C1DEF"])
    preset: TrainingPresetName | None = Field(
        default=None,
        description="Fields of a published method under one name; architecture, defense, epsilon"
        " and seed are yours. Stored, and answered, beside all that it stands for. "
        + described_presets(),
        examples=["icassp2020-paper"],
    )
    name: Name | None = Field(default=None, description="Of the model; made up if not given.")
    train_on: TrainedOn = Field(
        default="train",
        description="The paper tunes on `dev` with a model trained on `train`, and tests one"
        " trained on both.",
    )
    fold: Fold | None = Field(
        default=None,
        description="Train on all speakers but those of a fold, which are the test, instead of the"
        " corpus's own partition. Audit the model with the same fold.",
        examples=[{"number": 1, "of": 5}, {"speaker": "03"}],
    )
    evaluate_every: int | None = Field(
        default=None,
        ge=0,
        le=MAX_ITERATIONS,
        description="Iterations between evaluations on `dev`, clean and under FGSM at `epsilon`, on"
        " at most 256 of its clips, always the same, and under PGD on as many of them as take about"
        " a twentieth of the training's time, at least 16; a tenth of the training if not given, 0"
        " for none. At the end every clip of `dev` and `test` is scored, clean and under FGSM.",
    )
    resume_from: str | None = Field(
        default=None,
        max_length=64,
        description="Id of a training that failed as `diverged` and kept a checkpoint: this one"
        " goes on from there. All of its request must be the same but for learning_rate, decay,"
        " decay_every, cooldown, epsilon, epsilon_ramp and on_overfitting.",
        examples=["train_01M888238JC9DS2AHRJKFBH5Z4"],
    )
    metadata: Metadata | None = Field(
        default=None,
        description="Notes of your own, returned as they came.",
        examples=[{"ticket": "QA-18"}],
    )

    front_end: FrontEndName = Field(FRONT_END, description=described())

    @model_validator(mode="before")
    @classmethod
    def _with_the_preset(cls, values: object, info: ValidationInfo) -> object:
        if info.context is STORED or not isinstance(values, Mapping):
            return values
        return expanded(values)

    @model_validator(mode="after")
    def _as_the_preset_says(self, info: ValidationInfo) -> Self:
        preset = named(self.preset)
        if preset is None or info.context is STORED:
            return self
        for field, value, wanted in differing(preset, self):
            raise at(
                tuple(field.split(".")),
                "not_of_the_preset",
                f"is another than that of the preset {self.preset}, {wanted}: leave one of the two"
                " out",
                value,
            )
        return self

    @model_validator(mode="after")
    def _no_dev_of_a_fold(self) -> Self:
        if self.fold is not None and self.train_on == "train+dev":
            raise at(
                ("train_on",),
                "no_dev",
                f"{self.fold} has no dev: its speakers are the test, and all others train. Give"
                " train, or leave fold out",
                self.train_on,
            )
        return self

    @classmethod
    def of_stored(cls, request: Mapping[str, Any]) -> Self:
        """What a job was asked for, with nothing added: a preset of that name may have changed.
        One that names no front end is older than the second one."""
        return cls.model_validate({"front_end": FIRST_FRONT_END, **request}, context=STORED)

    def plan(self, n_classes: int) -> TrainingPlan:
        """The plan of the training for so many emotions.

        Raises:
            pydantic.ValidationError: nothing can be trained so; it names the field.
        """
        return self.recipe.plan(n_classes)

    @property
    def looks_every(self) -> int:
        """Iterations between looks at `dev`; 0 for none."""
        if self.evaluate_every is not None:
            return self.evaluate_every
        return max(1, self.iterations // 10)

    @property
    def attacked_looks(self) -> int:
        """Looks at `dev` after adversarial data have entered; the scores at the end are none."""
        every = self.looks_every
        if every == 0 or self.first_adversarial >= self.iterations:
            return 0
        return (self.iterations - 1) // every - self.first_adversarial // every

    def to_request(self) -> dict[str, Any]:
        """What is stored: every default spelt out, so that a later release trains the same."""
        stored = self.model_dump(mode="json", exclude={"metadata"})
        for name in ("preset", "resume_from"):  # most trainings have none
            if stored[name] is None:
                del stored[name]
        return stored


class PartitionMetrics(Schema):
    """How well the model does on one partition."""

    clips: int = Field(examples=[1020])
    clean_uar: float = Field(description="Unweighted average recall.", examples=[0.6283])
    fgsm_uar: dict[str, float] = Field(
        description="The same under FGSM, by its strength.", examples=[{"0.02": 0.475}]
    )


class DevEvaluation(PartitionMetrics):
    """How well the model did on `dev` in the course of its training."""

    iteration: int = Field(description="Iterations done.", examples=[1000])
    pgd_clips: int = Field(
        default=0,
        description="Of `clips`, those that PGD was run on: 10 steps where FGSM takes one.",
        examples=[64],
    )
    pgd_uar: dict[str, float] = Field(
        default_factory=dict,
        description="UAR on these under PGD of 10 steps, in the norm and at the strength of the"
        " training; nothing at strength 0.",
        examples=[{"0.02": 0.4512}],
    )


class TrainingResult(Schema):
    """What a training leaves behind."""

    model: str = Field(examples=["model_01K9ZQ3W8M4V7T2X6B5N0C1DEF"])
    metrics: dict[str, PartitionMetrics] = Field(
        description="Of `dev` and `test`, where the corpus has them and they were not learnt from."
    )
    history: list[DevEvaluation] = Field(
        default_factory=list,
        description="The evaluations on `dev` in the course of the training; of more than 1,000"
        " each n-th.",
    )
    overfitting: Overfitting | None = Field(
        default=None, description="Catastrophic overfitting, if it was found."
    )
