"""Who a training defends against: the adversarial inputs of one iteration."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from models.architectures import SpectrogramNet
from models.attacks.attack import Attack
from models.attacks.fgsm import Fgsm
from models.rng import Rng
from models.threats import ThreatModel, expand
from models.victims.network import NetworkView

LINF: Final = ThreatModel("features", "linf")
ROUNDING: Final = 1e-5
"""By which a float of the size of a log-mel may leave its ball, σ."""


@dataclass(frozen=True)
class Adversary:
    """Makes adversarial inputs on the network as it is now, in eval mode, and leaves it as it was.

    Batch norm then answers by its running statistics. A defence asks for its inputs *before* it
    runs the network in train mode, which moves them.

    Attributes:
        net: that is trained.
        attack: the training's.
        epsilon: radius of the ball around a clip, σ.
        rng: draws of this iteration, a row a clip.
    """

    net: SpectrogramNet
    attack: Attack
    epsilon: float
    rng: Rng

    def batch(self, x: Tensor, y: Tensor) -> Tensor:
        """What the training's attack makes of a batch.

        Args:
            x: clean input, (batch, frames, mels), z-scored.
            y: true labels, (batch,), int64.

        Returns:
            Like ``x``, detached, within the ball whatever the attack proposes; NaN where the
            gradient is NaN.
        """
        view = NetworkView(self.net)
        if self.attack.labels == "predicted":
            y = view.scores(x).argmax(dim=1)
        radius = self.attack.threat.radius(x, self.epsilon)
        (crafted,) = self.attack.craft(view, x, y, [radius], self.rng)
        return self._within(x, crafted.x, radius)

    def along(self, x: Tensor, gradient: Tensor) -> Tensor:
        """What FGSM makes of a batch where the gradient is known already.

        Args:
            x: clean input, (batch, frames, mels), z-scored.
            gradient: of what is to rise, like ``x``; any positive factor of a clip's changes
                nothing.

        Returns:
            As :meth:`batch`.

        Raises:
            TypeError: the attack needs more than one gradient.
        """
        if not isinstance(self.attack, Fgsm):
            raise TypeError(f"{self.attack.type} does not follow one gradient: give fgsm")
        radius = self.attack.threat.radius(x, self.epsilon)
        return self._within(x, self.attack.along(x, gradient, radius), radius)

    def _within(self, x: Tensor, crafted: Tensor, radius: Tensor) -> Tensor:
        threat = self.attack.threat
        # Projecting what is within the ball would still change its last bits.
        outside = threat.size(crafted - x) > radius * (1 + ROUNDING) + ROUNDING
        return torch.where(expand(outside, x), threat.project(x, crafted, radius), crafted)

    def ascend(
        self,
        x: Tensor,
        start: Tensor,
        values: Callable[[Tensor], Tensor],
        *,
        steps: int,
        step: float,
    ) -> Tensor:
        """Projected gradient ascent in the L∞ ball around ``x``: the last point.

            x' ← Π(x' + step · ε · sign(∇ values(x')))

        Args:
            x: clean input, (batch, frames, mels).
            start: where it begins, like ``x``.
            values: what is to rise, logits (batch, classes) → (batch,).
            steps: how often.
            step: of the radius ε.
        """
        view, radius = NetworkView(self.net), LINF.radius(x, self.epsilon)
        point = start
        for _ in range(steps):
            direction = LINF.steepest(view.rise(point, values).gradient)
            moved = point + step * self.epsilon * direction
            point = x + LINF.shrink(moved - x, radius)
        return point
