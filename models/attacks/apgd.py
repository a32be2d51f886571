"""Auto-PGD (Croce & Hein, ICML 2020, Alg. 1): projected gradient descent that sets its own steps.

With x⁽⁰⁾ the start, η = 2 · radius, and Π the projection to the ball (of a waveform, its box too):

    z⁽ᵏ⁺¹⁾ = Π( x⁽ᵏ⁾ + η · s(∇ L(x⁽ᵏ⁾)) ),   s = sign for L∞, g / ‖g‖₂ for L2
    x⁽ᵏ⁺¹⁾ = Π( x⁽ᵏ⁾ + α (z⁽ᵏ⁺¹⁾ − x⁽ᵏ⁾) + (1 − α) (x⁽ᵏ⁾ − x⁽ᵏ⁻¹⁾) ),   α = .75, but 1 at k = 0

At the checkpoint k = w_j the step is halved and the path goes on from the best point so far, if

1. fewer than ρ = .75 of the steps since w_{j−1} raised the loss, or
2. the step was not halved at w_{j−1}, and the best loss has not risen since then.

AutoAttack starts each restart at a random point. Here the first starts at the clip, as with every
attack of this service, so that a random draw cannot hide that a gradient is missing.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

import torch
from torch import Tensor

from models.attacks.attack import ATTACKS
from models.attacks.iterative import IterativeAttack, PathPoint, ended, passed
from models.objectives import Objective
from models.threats import expand
from models.victims.victim import View

MOMENTUM: Final = 0.75
"""α."""
RISING: Final = 0.75
"""ρ."""


@ATTACKS.register
class Apgd(IterativeAttack):
    """Auto-PGD: momentum, and a step that is halved wherever it stops paying. The only parameter is
    the number of steps."""

    atlas: ClassVar[tuple[str, ...]] = ("AML.T0043.000", "AML.T0015")

    type: Literal["apgd"] = "apgd"

    def path(
        self, view: View, x: Tensor, objective: Objective, radius: Tensor, start: Tensor
    ) -> Iterator[PathPoint]:
        """See :meth:`IterativeAttack.path`."""
        here = self._place(view, start, objective)
        yield passed(here.x, here.value, here.direction)
        best, before, schedule = here, start, _Schedule(self.steps, radius, here.value)
        for k in range(self.steps):
            point = self._moved(x, here, before, radius, schedule.size, 1.0 if k == 0 else MOMENTUM)
            if k == self.steps - 1:
                yield ended(point, view, objective)
                return
            there = self._place(view, point, objective)
            yield passed(there.x, there.value, there.direction)
            best_until_here = best.value
            best = there.where(there.value > best.value, best)
            if k in schedule.checkpoints:
                there = best.where(schedule.halve(k, best_until_here), there)
            schedule.rose(there.value > here.value)
            before, here = here.x, there

    def _place(self, view: View, point: Tensor, objective: Objective) -> "_Place":
        gradient, value, _ = view.gradient(point, objective)
        return _Place(point, self.threat.steepest(gradient), value)

    def _moved(
        self, x: Tensor, here: "_Place", before: Tensor, radius: Tensor, size: Tensor, alpha: float
    ) -> Tensor:
        """x⁽ᵏ⁺¹⁾ from x⁽ᵏ⁾ and x⁽ᵏ⁻¹⁾."""
        z = self.threat.nearest(x, here.x + expand(size, x) * here.direction, radius)
        moved = here.x + alpha * (z - here.x) + (1 - alpha) * (here.x - before)
        return self.threat.nearest(x, moved, radius)


@dataclass(frozen=True)
class _Place:
    """A point, the steepest direction there and its loss: (batch, ...) twice, and (batch,)."""

    x: Tensor
    direction: Tensor
    value: Tensor

    def where(self, chosen: Tensor, other: "_Place") -> "_Place":
        """This one for the chosen clips, (batch,) bool, and the other for the rest."""
        each = expand(chosen, self.x)
        return _Place(
            torch.where(each, self.x, other.x),
            torch.where(each, self.direction, other.direction),
            torch.where(chosen, self.value, other.value),
        )


class _Schedule:
    """The step of each clip, and when it is halved.

    Args:
        steps: N, of the path.
        radius: (batch,).
        value: loss at the start, (batch,).
    """

    def __init__(self, steps: int, radius: Tensor, value: Tensor) -> None:
        self.size = 2 * radius
        self.checkpoints = checkpoints(steps)
        self._last = 0
        self._best_then = value
        self._halved_then = torch.zeros_like(value, dtype=torch.bool)
        self._rises = torch.zeros_like(value)

    def rose(self, risen: Tensor) -> None:
        """For which clips a step raised the loss, (batch,) bool."""
        self._rises += risen.to(self._rises)

    def halve(self, k: int, best: Tensor) -> Tensor:
        """Halve the steps that no longer pay at checkpoint ``k``: for which clips, (batch,) bool.

        Args:
            best: the highest loss up to x⁽ᵏ⁾, (batch,).
        """
        few_rises = self._rises < RISING * (k - self._last)
        stuck = ~self._halved_then & (best == self._best_then)
        halved = few_rises | stuck
        self.size = torch.where(halved, self.size / 2, self.size)
        self._last, self._best_then, self._halved_then = k, best, halved
        self._rises = torch.zeros_like(self._rises)
        return halved


def checkpoints(steps: int) -> frozenset[int]:
    """w_j = ⌈p_j N⌉ for p_1 = .22, p_{j+1} = p_j + max(p_j − p_{j−1} − .03, .06) ≤ 1 (Eq. 2 there).

    Counted in hundredths: as a float, .22 + .19 is more than .41, and w_2 of 100 would be 42.
    """
    found, before, now = set(), 0, 22
    while now <= 100:
        found.add(-(-now * steps // 100))
        before, now = now, now + max(now - before - 3, 6)
    return frozenset(found)
