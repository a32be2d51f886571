"""The attack that knows the detector: it breaks the model and stays unnoticed, by both gradients.

    x_{t+1} = Π( x_t + step · radius · s(∇ [ L(x_t, y) − λ · d(x_t) ]) )

L is the model's cross-entropy, d the detector's logit, Π and s as in projected gradient descent.
Of what it tries (every λ, every step) the point counts that comes nearest to both goals. Carlini &
Wagner ("Adversarial Examples Are Not Easily Detected", AISec 2017) show that detectors fall to an
attacker with perfect knowledge, who attacks both networks together; a weight between the two is
that of the dynamic adversary of Metzen et al. (ICLR 2017), tried here at several values.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.adversarial_score import clip_logits
from models.freezing import frozen
from models.objectives import margin
from models.precision import full_float32
from models.threats import ThreatModel, expand
from models.victims import SpectrogramVictim

WEIGHTS: Final = (0.1, 1.0, 10.0)
"""λ, what being noticed counts beside breaking the model."""
STEPS: Final = 10
LENGTH: Final = 2.5
"""Of all steps of a path together, in radii, as of `pgd`."""


@dataclass(frozen=True)
class Evasion:
    """An attack on a model and its detector.

    Attributes:
        victim: the model.
        detector: its detector, in eval mode on the model's device.
        threshold: the logit above which it says "attacked".
        threat: what may change.
        on_pass: told of each pass: how many clips go forwards, and how many backwards.
    """

    victim: SpectrogramVictim
    detector: nn.Module
    threshold: float
    threat: ThreatModel
    on_pass: Callable[[int, int], None] | None = None

    def run(self, x: Tensor, y: Tensor, radius: Tensor) -> Tensor:
        """What comes nearest to a wrong and unnoticed prediction, for each clip.

        Args:
            x: clean input of the victim's view, (batch, ...).
            y: labels to move away from, (batch,), int64.
            radius: of the ball, (batch,).
        """
        best, best_value = x.clone(), torch.full_like(radius, float("-inf"))
        size = expand(radius * LENGTH / STEPS, x)
        for weight in WEIGHTS:
            point = x
            for step in range(STEPS + 1):
                value, gradient = self._look(point, y, weight)
                if step > 0:  # at 0 it is the clip itself
                    better = value > best_value
                    best = torch.where(expand(better, x), point, best)
                    best_value = torch.where(better, value, best_value)
                moved = point + size * self.threat.steepest(gradient)
                point = self.threat.nearest(x, moved, radius)
        return best

    def _look(self, x: Tensor, y: Tensor, weight: float) -> tuple[Tensor, Tensor]:
        """How near a point is to both goals, positive where it reaches them, (batch,); and the
        gradient of the weighted loss."""
        if self.on_pass is not None:
            self.on_pass(len(x), len(x))
        victim = self.victim
        with (
            torch.enable_grad(),
            frozen(victim.net),
            frozen(self.detector),
            full_float32(enabled=victim.exact),
        ):
            leaf = x.detach().requires_grad_(True)
            logits = victim.logits(victim.net, leaf, self.threat.domain)
            seen = clip_logits(self.detector, victim, leaf, self.threat.domain)
            loss = functional.cross_entropy(logits, y, reduction="none") - weight * seen
            (gradient,) = torch.autograd.grad(loss.sum(), leaf)
        both = torch.minimum(margin(logits, y), self.threshold - seen)
        return both.detach(), gradient
