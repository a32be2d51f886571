"""Fast gradient sign method (Goodfellow et al., ICLR 2015; Eq. 1-2 of docs/paper.md).

    x' = x + clip( radius · s, −η, η ),   s = sign(∇ₓ L) for L∞,  ∇ₓ L / ‖∇ₓ L‖₂ for L2

The second is also called the fast gradient method. A waveform then goes back to its box.
"""

from collections.abc import Iterable, Iterator
from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor

from models.attacks.attack import ATTACKS, Attack, Crafted
from models.rng import Rng
from models.threats import expand
from models.victims.victim import Cost, View


@ATTACKS.register
class Fgsm(Attack):
    """Fast gradient sign method: one step of the whole radius.

    One backward pass serves all strengths, since the gradient does not depend on them.
    """

    can_target: ClassVar[bool] = True
    atlas: ClassVar[tuple[str, ...]] = ("AML.T0043.000", "AML.T0015")

    type: Literal["fgsm"] = "fgsm"
    clip: float | None = Field(
        None, gt=0, le=10, description="η of Eq. 2 of the paper: no value is changed by more."
    )

    def run_cost(self, n_classes: int) -> Cost:
        """One pass there and back."""
        return Cost(forwards=1, backwards=1)

    def cost(self, n_classes: int, strengths: int = 1) -> Cost:
        """The gradient is taken once for all strengths, unless targets are compared."""
        if self.goal == "all_targets":
            return super().cost(n_classes, strengths)
        return self.run_cost(n_classes)

    def run(self, view: View, x: Tensor, y: Tensor, radius: Tensor, rng: Rng) -> Tensor:
        """See :meth:`Attack.run`."""
        return self._moved(x, self._direction(view, x, y), radius)

    def craft(
        self, view: View, x: Tensor, y: Tensor, radii: Iterable[Tensor], rng: Rng
    ) -> Iterator[Crafted]:
        """See :meth:`Attack.craft`."""
        if self.goal == "all_targets":
            yield from super().craft(view, x, y, radii, rng)
            return
        direction = self._direction(view, x, self._aim(view, y))
        for radius in radii:
            yield Crafted(self._moved(x, direction, radius))

    def along(self, x: Tensor, gradient: Tensor, radius: Tensor) -> Tensor:
        """The step for a gradient that is known already; see :meth:`Attack.run`."""
        return self._moved(x, self.threat.steepest(gradient), radius)

    def _direction(self, view: View, x: Tensor, y: Tensor) -> Tensor:
        return self.threat.steepest(view.gradient(x, self.objective(y)).gradient)

    def _moved(self, x: Tensor, direction: Tensor, radius: Tensor) -> Tensor:
        x = x.detach()
        change = expand(radius, x) * direction
        if self.clip is not None:
            change = change.clamp(-self.clip, self.clip)
        return self.threat.box(x, x + change)
