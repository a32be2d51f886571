"""A cell of a study: one training of its grid."""

import hashlib
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field

from models.architectures import Architecture
from models.provenance import TrainedOn
from models.studies.identity import identity
from models.training_plan import Recipe

LONGEST_LABEL: Final = 100


class Cell(BaseModel):
    """One training: where it stands in the tables, and how it is done."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    architecture: Architecture
    training: str = Field(description="Its type.", examples=["similarity"])
    parameters: dict[str, Any] = Field(
        default_factory=dict,
        description="Of the training, where they are others than those of the study's preset, or,"
        " without one, than the defaults.",
        examples=[{"beta": 0.3}],
    )
    epsilon: float | None = Field(
        description="Strength in σ that it was trained against; null for a training without one."
    )
    seed: int
    train_on: TrainedOn
    recipe: Recipe

    @property
    def label(self) -> str:
        """The training with its parameters, such as "similarity beta=0.3"; at most 100 characters,
        and no two trainings of a grid have the same."""
        given = [f"{name}={_short(value)}" for name, value in self.parameters.items()]
        text = " ".join([self.training, *given])
        if len(text) <= LONGEST_LABEL:
            return text
        digest = hashlib.sha256(text.encode()).hexdigest()[:8]
        return f"{text[: LONGEST_LABEL - 10]}… {digest}"

    @property
    def name(self) -> str:
        """What tells it from the others of its study, on one line of at most 200 characters."""
        epsilon = [] if self.epsilon is None else [f"ε={self.epsilon}"]
        seed = f"seed={self.seed}"
        return " ".join([self.architecture, self.label, *epsilon, seed, self.train_on])

    def identity(self, data: str) -> str:
        """See :func:`models.studies.identity.identity`.

        Args:
            data: a hash of the corpus.
        """
        return identity(self.recipe, self.train_on, None, data)


def _short(value: object) -> str:
    return "/".join(map(_short, value)) if isinstance(value, tuple | list) else str(value)
