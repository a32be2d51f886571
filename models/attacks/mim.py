"""Momentum iterative method (Dong et al., CVPR 2018, Alg. 1).

    g_{t+1} = decay · g_t + ∇ L(x_t) / ‖∇ L(x_t)‖₁
    x_{t+1} = Π( x_t + step · radius · s(g_{t+1}) ),   s = sign for L∞, g / ‖g‖₂ for L2

The momentum keeps the path from following what is peculiar to one model: what it finds transfers
better to others.
"""

from collections.abc import Iterator
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from models.attacks.attack import ATTACKS
from models.attacks.iterative import IterativeAttack, PathPoint, ended, passed
from models.objectives import Objective
from models.threats import expand
from models.victims.victim import View


@ATTACKS.register
class Mim(IterativeAttack):
    """Momentum iterative method: gradient steps along a decaying sum of all gradients so far."""

    atlas: ClassVar[tuple[str, ...]] = ("AML.T0043.000", "AML.T0015")

    type: Literal["mim"] = "mim"
    step: float | None = Field(
        None, gt=0, le=2, description="Of the radius; 1 / steps if not given, as in the paper."
    )
    decay: float = Field(1.0, ge=0, le=10, description="μ: what is kept of the gradients before.")

    def path(
        self, view: View, x: Tensor, objective: Objective, radius: Tensor, start: Tensor
    ) -> Iterator[PathPoint]:
        """See :meth:`IterativeAttack.path`."""
        size = expand(radius * (1 / self.steps if self.step is None else self.step), x)
        point, momentum = start, torch.zeros_like(x)
        for _ in range(self.steps):
            gradient, value, _ = view.gradient(point, objective)
            norm = gradient.abs().flatten(1).sum(dim=1)
            scaled = gradient / expand(torch.where(norm == 0, 1.0, norm), x)
            momentum = self.decay * momentum + scaled
            direction = self.threat.steepest(momentum)
            yield passed(point, value, direction)
            point = self.threat.nearest(x, point + size * direction, radius)
        yield ended(point, view, objective)
