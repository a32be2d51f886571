"""Attacks that walk along gradients: what pgd, mim and apgd share.

They differ in their path alone. What each returns is, for each clip, the point of the highest loss
on all its paths, the last points among them. The clip itself is none of these: where it is
returned, the attack had nothing to go by.
"""

from collections.abc import Iterator, Sequence
from typing import ClassVar, NamedTuple

import torch
from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError
from torch import Tensor

from models.attacks.attack import Attack, Unsuited
from models.objectives import DLR_CLASSES, Loss, Objective
from models.rng import Rng
from models.threats import expand
from models.victims.victim import Cost, View


class PathPoint(NamedTuple):
    """A point of a path.

    Attributes:
        x: (batch, ...).
        value: its loss, (batch,).
        lost: whether its gradient is not a number, (batch,) bool; the last point has none.
    """

    x: Tensor
    value: Tensor
    lost: Tensor


class IterativeAttack(Attack):
    """Base of the attacks that repeat a gradient step. A subclass declares :meth:`path`."""

    can_target: ClassVar[bool] = True

    steps: int = Field(20, ge=1, le=1000, description="Gradient steps of a restart.")
    restarts: int = Field(
        1, ge=1, le=100, description="The first starts at the clip, the others at a random point."
    )
    loss: Loss = Field("ce", description="What is maximised.")

    @field_validator("loss")
    @classmethod
    def _dlr_has_no_target(cls, value: Loss, info: ValidationInfo) -> Loss:
        if value == "dlr" and info.data.get("goal", "untargeted") != "untargeted":
            raise PydanticCustomError("dlr_target", "dlr has no target: give ce or margin")
        return value

    def unsuited(self, labels: Sequence[str]) -> Unsuited | None:
        """DLR needs three classes."""
        if self.loss == "dlr" and len(labels) < DLR_CLASSES:
            return Unsuited(
                "loss",
                self.loss,
                f"it needs {DLR_CLASSES} labels, and the model has {len(labels)}",
                "give ce or margin",
            )
        return super().unsuited(labels)

    def run_cost(self, n_classes: int) -> Cost:
        """A pass there and back a step, and one forwards for the last point."""
        return Cost(self.restarts * (self.steps + 1), self.restarts * self.steps)

    def run(self, view: View, x: Tensor, y: Tensor, radius: Tensor, rng: Rng) -> Tensor:
        """See :meth:`Attack.run`."""
        x = x.detach()
        objective = self.objective(y, self.loss)
        best = x.clone()
        best_value = torch.full_like(radius, float("-inf"))
        lost = torch.zeros_like(y, dtype=torch.bool)
        for restart in range(self.restarts):
            start = x if restart == 0 else self.threat.random_start(x, radius, rng)
            for step, point in enumerate(self.path(view, x, objective, radius, start)):
                if restart == 0:
                    lost |= point.lost
                if restart == 0 and step == 0:
                    continue  # the clip itself: an answer that has not moved had no direction
                better = point.value > best_value  # a draw that gains nothing does not count
                best = torch.where(expand(better, x), point.x, best)
                best_value = torch.where(better, point.value, best_value)
        return torch.where(expand(lost, x), float("nan"), best)

    def path(
        self, view: View, x: Tensor, objective: Objective, radius: Tensor, start: Tensor
    ) -> Iterator[PathPoint]:
        """The points of one restart, the start and the last among them."""
        raise NotImplementedError


def passed(x: Tensor, value: Tensor, direction: Tensor) -> PathPoint:
    """A point that a path leaves in this direction, (batch, ...)."""
    return PathPoint(x, value, direction.isnan().flatten(1).any(dim=1))


def ended(x: Tensor, view: View, objective: Objective) -> PathPoint:
    """The last point of a path: its scores are asked, and no gradient."""
    value = objective.values(view.scores(x))
    return PathPoint(x, value, torch.zeros_like(value, dtype=torch.bool))
