"""What determines the training of a detector: its parameters, declared once."""

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from models.attacks import AnyAttack, Attack
from models.training_plan import DEFAULT_ATTACK, MAX_ITERATIONS, training_fault


class DetectorRecipe(BaseModel):
    """How to train a detector, whatever the model and the data. Each refusal names its field."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, validate_default=True
    )

    attack: AnyAttack = Field(
        default=DEFAULT_ATTACK,
        description="What the detector learns to see, made on the model with strength `epsilon`: of"
        " domain features, and without strengths of its own.",
        examples=[{"type": "pgd", "steps": 10}],
    )
    epsilon: float = Field(
        0.02,
        gt=0,
        description="Strength of that attack, in standard deviations of a mel band.",
    )
    iterations: int = Field(2_000, ge=1, le=MAX_ITERATIONS, description="Optimiser steps.")
    batch_size: int = Field(
        16,
        ge=2,
        le=1024,
        description="Clips of one step. Each is seen twice: clean, and attacked.",
    )
    learning_rate: float = Field(
        1e-3, gt=0, le=1, description="Of Adam; it falls linearly to zero over the training."
    )
    seed: int = Field(
        0,
        ge=0,
        le=2**31 - 1,
        description="Of the first weights, the order of clips, and what attacks draw.",
    )

    @field_validator("attack")
    @classmethod
    def _an_attack_that_trains(cls, attack: Attack) -> Attack:
        fault = training_fault(attack, None)
        if fault is not None:
            raise PydanticCustomError("attack_that_cannot_train", "{fault}", {"fault": fault})
        return attack

    @field_validator("epsilon")
    @classmethod
    def _a_strength_of_the_attack(cls, epsilon: float, info: ValidationInfo) -> float:
        threat = info.data.get("attack", DEFAULT_ATTACK).threat  # absent if it was refused itself
        if 2 * epsilon > threat.largest:
            raise PydanticCustomError(
                "too_strong",
                "{epsilon} is more than {largest} {unit}, half of what attacks may have: the"
                " detector is also examined at twice its strength",
                {"epsilon": epsilon, "largest": threat.largest / 2, "unit": threat.unit},
            )
        return epsilon

    @property
    def recipe(self) -> "DetectorRecipe":
        """The recipe alone, of something that is more than it."""
        fields = {name: getattr(self, name) for name in DetectorRecipe.model_fields}
        return DetectorRecipe.model_validate(fields)

    def rate(self, iteration: int) -> float:
        """Learning rate of this iteration."""
        return self.learning_rate * (1 - iteration / self.iterations)
