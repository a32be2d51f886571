"""Projected gradient descent (Madry et al., ICLR 2018, Eq. 2).

    x_{t+1} = Π( x_t + step · radius · s(∇ L(x_t)) ),   s = sign for L∞, g / ‖g‖₂ for L2

Π projects onto the ball around x and, of a waveform, onto its box.
"""

from collections.abc import Iterator
from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor

from models.attacks.attack import ATTACKS
from models.attacks.iterative import IterativeAttack, PathPoint, ended, passed
from models.objectives import Objective
from models.threats import expand
from models.victims.victim import View


@ATTACKS.register
class Pgd(IterativeAttack):
    """Projected gradient descent: repeated gradient steps, each projected back to the ball."""

    atlas: ClassVar[tuple[str, ...]] = ("AML.T0043.000", "AML.T0015")

    type: Literal["pgd"] = "pgd"
    step: float | None = Field(
        None, gt=0, le=2, description="Of the radius; 2.5 / steps if not given."
    )

    def path(
        self, view: View, x: Tensor, objective: Objective, radius: Tensor, start: Tensor
    ) -> Iterator[PathPoint]:
        """See :meth:`IterativeAttack.path`."""
        size = expand(radius * (2.5 / self.steps if self.step is None else self.step), x)
        point = start
        for _ in range(self.steps):
            gradient, value, _ = view.gradient(point, objective)
            direction = self.threat.steepest(gradient)
            yield passed(point, value, direction)
            point = self.threat.nearest(x, point + size * direction, radius)
        yield ended(point, view, objective)
