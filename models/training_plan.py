"""What determines a training: its parameters, declared once.

Defaults are the paper's (Sec. 4.3, ``docs/paper.md``).

The REST schema, what is stored and the plan that a worker runs are these fields and no others.
"""

from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from models.architectures import MIN_FRAMES, Architecture
from models.attacks import AnyAttack, Attack, Listed
from models.attacks.fgsm import Fgsm
from models.checkpoint import FIRST_FRONT_END, MAX_CLASSES, MAX_FRAMES
from models.class_weights import ClassWeights
from models.corruptions import AnyCorruption
from models.defenses import DEFENSES, AnyDefense, Defense
from models.defenses.single import Single
from models.features import FRAMES
from models.front_ends import FrontEndName, described
from models.overfitting import OnOverfitting

Precision = Literal["float32", "bfloat16"]
Crafting = Literal["eval", "fused"]
Sampling = Literal["uniform", "balanced"]
MAX_AUGMENT: Final = 32
MAX_ITERATIONS: Final = 10_000_000
MAX_SEED: Final = 2**31 - 1
Iterations = Annotated[int, Field(ge=0, le=MAX_ITERATIONS)]
MAX_PASSES: Final = 1_000
"""Of an attack on one batch: a training is stopped between two iterations, not within one."""
DEFAULT_ATTACK: Final = Fgsm()
"""The paper's, without its η = .1, which never bites at the paper's strengths."""


class Recipe(BaseModel):
    """How to train, whatever the data. Each refusal names its field."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, validate_default=True
    )

    architecture: Architecture = "cnn4"
    defense: AnyDefense = Field(
        default_factory=Single,
        description="The loss. single is no defence.",
        examples=[{"type": "vanilla"}],
    )
    attack: AnyAttack = Field(
        default=DEFAULT_ATTACK,
        description="Makes the adversarial batches, with strength `epsilon`: of domain features,"
        " and without strengths of its own. A defence that crafts its own takes none.",
        examples=[{"type": "pgd", "steps": 7}],
    )
    epsilon: float = Field(
        0.02,
        ge=0,
        description="Strength of the adversarial batches, in standard deviations of a mel band.",
    )
    crafting: Crafting = Field(
        "eval",
        description="eval: adversarial clips are made on the network in evaluation mode, as in the"
        " paper. fused: by FGSM along the input gradient of the clean pass in training mode, which"
        " saves a forward and, of vanilla, a backward pass.",
    )
    iterations: int = Field(10_000, ge=1, le=MAX_ITERATIONS, description="Optimiser steps.")
    adversarial_from: Iterations | None = Field(
        None,
        description="Iteration at which adversarial data enter: 1,000, or after a tenth of a"
        " shorter training.",
    )
    epsilon_ramp: Iterations = Field(
        0,
        description="Iterations over which the strength of adversarial batches rises linearly, from"
        " the first of them to `epsilon`. 0: it is `epsilon` at once.",
    )
    batch_size: int = Field(16, ge=2, le=1024, description="Clips of one step.")
    learning_rate: float = Field(1e-3, gt=0, le=1, description="Of Adam.")
    decay: float = Field(
        0.9, gt=0, le=1, description="Factor on the learning rate, each `decay_every`."
    )
    decay_every: int = Field(100, ge=1, le=MAX_ITERATIONS, description="Iterations.")
    cooldown: Iterations = Field(
        0,
        description="Last iterations, over which the learning rate also falls linearly to zero"
        " (Hägele et al., NeurIPS 2024, Sec. 3). The paper's 10,000 iterations need none; a short"
        " training ends on a much better model with an eighth of its iterations.",
    )
    frames: int = Field(
        FRAMES,
        ge=MIN_FRAMES,
        le=MAX_FRAMES,
        description="Window of the network; 16 ms a frame. Shorter clips are repeated.",
    )
    front_end: FrontEndName = Field(FIRST_FRONT_END, description=described())
    augment: Annotated[tuple[AnyCorruption, ...], Listed] = Field(
        (),
        max_length=MAX_AUGMENT,
        description="What the recordings are varied with while they are learnt from, in this"
        " order: each is applied to `augment_share` of the clips, at one of its strengths.",
        examples=[[{"type": "gain", "db": [-30, -20, -10, 6]}]],
    )
    augment_share: float = Field(
        0.3, gt=0, le=1, description="Share of the clips that each of `augment` is applied to."
    )
    class_weights: ClassWeights | None = Field(
        None,
        description="What each emotion weighs in every cross-entropy of the loss: balanced is"
        " inversely to its frequency in what is learnt from; or weights by emotion, of which only"
        " the ratios count and which are 1 where none is given.",
        examples=["balanced", {"anger": 2}],
    )
    sampling: Sampling = Field(
        "uniform",
        description="Which clips a batch has: uniform takes each once an epoch, balanced takes"
        " each emotion as often as any other, so that clips of a rare one come more often.",
    )
    precision: Precision = Field(
        "float32",
        description="Of the passes in training: bfloat16 takes a quarter of the time where the"
        " processor or the GPU multiplies such numbers; weights and scores stay float32.",
    )
    on_overfitting: OnOverfitting = Field(
        "warn",
        description="What follows when an evaluation on `dev` finds catastrophic overfitting, UAR"
        " up under FGSM and down under PGD. warn: a warning. stop: the training ends with the model"
        " as it is then. best: it ends with the model that was the best under PGD.",
    )
    seed: int = Field(
        0,
        ge=0,
        le=MAX_SEED,
        description="Of the first weights, the order of clips, and what attacks draw.",
    )

    @field_validator("attack")
    @classmethod
    def _an_attack_that_trains(cls, attack: Attack, info: ValidationInfo) -> Attack:
        defense = info.data.get("defense")  # absent if it was refused itself
        fault = training_fault(attack, defense)
        if fault is not None:
            raise PydanticCustomError("attack_that_cannot_train", "{fault}", {"fault": fault})
        return attack

    @field_validator("epsilon")
    @classmethod
    def _a_strength_of_the_attack(cls, epsilon: float, info: ValidationInfo) -> float:
        attack = info.data.get("attack", DEFAULT_ATTACK)
        if epsilon > attack.threat.largest:
            raise PydanticCustomError(
                "too_strong",
                "{epsilon} is more than {largest} {unit}, the most that is accepted",
                {
                    "epsilon": epsilon,
                    "largest": attack.threat.largest,
                    "unit": attack.threat.unit,
                },
            )
        return epsilon

    @field_validator("crafting")
    @classmethod
    def _a_gradient_that_suffices(cls, crafting: Crafting, info: ValidationInfo) -> Crafting:
        fault = _fused_fault(info.data.get("attack"), info.data.get("defense"))
        if crafting == "fused" and fault is not None:
            raise PydanticCustomError("cannot_be_fused", "{fault}", {"fault": fault})
        return crafting

    @property
    def recipe(self) -> "Recipe":
        """The recipe alone, of something that is more than it."""
        return Recipe.model_validate({name: getattr(self, name) for name in Recipe.model_fields})

    def plan(self, n_classes: int) -> "TrainingPlan":
        """The plan for so many emotions.

        Raises:
            pydantic.ValidationError: so many are too few, e.g. for the attack.
        """
        return TrainingPlan.model_validate({**dict(self.recipe), "n_classes": n_classes})

    @property
    def first_adversarial(self) -> int:
        """Iteration at which adversarial data enter; a training on clean data never gets there."""
        if self.defense.inputs == "clean":
            return self.iterations
        if self.adversarial_from is not None:
            return self.adversarial_from
        return min(1_000, self.iterations // 10)

    def strength(self, iteration: int) -> float:
        """ε of the adversarial batches of an iteration that has some."""
        ramped = iteration - self.first_adversarial + 1
        if not 0 < ramped < self.epsilon_ramp:
            return self.epsilon
        return self.epsilon * ramped / self.epsilon_ramp

    def rate(self, iteration: int) -> float:
        """Learning rate of this iteration."""
        rate = self.learning_rate * self.decay ** (iteration // self.decay_every)
        left = self.iterations - iteration
        return rate * left / self.cooldown if left < self.cooldown else rate


def training_fault(attack: Attack, defense: Defense | None) -> str | None:
    """Why a training cannot use an attack; None if it can.

    Args:
        defense: that it is to be used by; None for a detector.
    """
    if attack.domain != "features":
        return f"domain is {attack.domain}: a training changes features, so leave domain out"
    if attack.strengths:
        return "leave its strengths out: the strength of a training is its own epsilon"
    if attack.minimum:
        return "leave minimum out: a training has one strength"
    if attack.goal not in ("untargeted", "all_targets"):
        return "goal is a label: a training knows no other goal than untargeted and all_targets"
    if attack.sources:
        return f"{attack.type} needs another model, and a training attacks the one it makes"
    if defense is not None and defense.inputs != "attack" and attack != DEFAULT_ATTACK:
        does = "crafts its own inputs" if defense.inputs == "own" else "trains on clean data alone"
        return f"the defense {defense.type} {does}: leave attack out, or give another defense"
    return None


def _fused_fault(attack: Attack | None, defense: Defense | None) -> str | None:
    """Why adversarial clips cannot be made from the clean pass; None if they can. What is None was
    refused itself."""
    if defense is not None and not defense.fuses:
        able = " or ".join(name for name in DEFENSES if DEFENSES[name].fuses)
        return f"the defense {defense.type} knows no fused crafting: give eval, or {able}"
    one_gradient = isinstance(attack, Fgsm) and attack.goal == "untargeted"
    if attack is not None and not (one_gradient and attack.labels == "true"):
        return (
            f"{attack.describe()} needs more than the gradient of the clean loss: give eval, or"
            " fgsm with labels true and goal untargeted"
        )
    return None


def _refusal(field: tuple[str, ...], value: object, told: str) -> ValidationError:
    """Of one field: a plain error of a plan that is whole would name none."""
    error = PydanticCustomError("attack_that_cannot_train", "{fault}", {"fault": told})
    return ValidationError.from_exception_data(
        "TrainingPlan", [{"type": error, "loc": field, "input": value}]
    )


class TrainingPlan(Recipe):
    """What determines a run, together with the data.

    Raises:
        pydantic.ValidationError: a field is unknown or out of its range; a training would fail on
            it late, or learn nothing.
    """

    architecture: Architecture
    n_classes: int = Field(ge=2, le=MAX_CLASSES, description="Number of emotions.")

    @model_validator(mode="after")
    def _an_attack_for_so_many_classes(self) -> Self:
        unsuited = self.attack.unsuited(tuple(map(str, range(self.n_classes))))
        if unsuited is not None:
            field = ("attack", *unsuited.field.split("."))
            raise _refusal(field, unsuited.value, f"{unsuited.reason}: {unsuited.remedy}")
        passes = self.attack.cost(self.n_classes).forwards
        if passes > MAX_PASSES:
            told = f"takes {passes} passes for each batch: give steps or queries for {MAX_PASSES}"
            raise _refusal(("attack",), self.attack, told)
        return self

    def changed(self, **fields: Any) -> Self:
        """The plan with other values of these fields, checked like any other."""
        return self.model_validate({**dict(self), **fields})

    @property
    def shared_until(self) -> int:
        """Up to this iteration, plans of the same clean phase are the same run."""
        return min(self.first_adversarial, self.iterations - self.cooldown)

    def clean_phase(self) -> dict[str, Any]:
        """What determines a run up to ``shared_until``: plans that agree here share it."""
        return self.model_dump(include=CLEAN_PHASE)


CLEAN_PHASE: Final[set[str]] = {
    "architecture",
    "n_classes",
    "batch_size",
    "learning_rate",
    "decay",
    "decay_every",
    "frames",
    "front_end",
    "augment",
    "augment_share",
    "class_weights",
    "sampling",
    "precision",
    "seed",
}
