"""Who a training defends against: the adversarial inputs of one iteration."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from models.architectures import SpectrogramNet
from models.attacks.attack import Attack
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
        view, threat = NetworkView(self.net), self.attack.threat
        if self.attack.labels == "predicted":
            y = view.scores(x).argmax(dim=1)
        radius = threat.radius(x, self.epsilon)
        (crafted,) = self.attack.craft(view, x, y, [radius], self.rng)
        change = crafted.x - x
        # Projecting what is within the ball would still change its last bits.
        outside = threat.size(change) > radius * (1 + ROUNDING) + ROUNDING
        return torch.where(expand(outside, x), threat.project(x, crafted.x, radius), crafted.x)

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
