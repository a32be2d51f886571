"""Adversarial training with projected gradient descent (Madry et al., ICLR 2018, Eq. 2.1).

    min_θ E[ max_{‖x' − x‖∞ ≤ ε} L(θ, x', y) ]

The inner maximum is sought by steps of the gradient's sign from a random point of the ball; the
network is trained on the last point alone, and never on a clean clip.
"""

from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor

from models.architectures import SpectrogramNet
from models.defenses.adversary import LINF, Adversary
from models.defenses.defense import DEFENSES, Defense, Inputs
from models.objectives import Objective


@DEFENSES.register
class PgdTraining(Defense):
    """Training on adversarial data alone (Madry et al., ICLR 2018): L(x'), with x' from projected
    gradient descent in the L∞ ball of radius epsilon, from a random start."""

    inputs: ClassVar[Inputs] = "own"

    type: Literal["pgd"] = "pgd"
    steps: int = Field(7, ge=1, le=100, description="Gradient steps of the inner maximisation.")
    step: float = Field(
        0.25, gt=0, le=2, description="Size of a step, of epsilon: 2 of 8 levels in the source."
    )

    def loss(self, net: SpectrogramNet, x: Tensor, y: Tensor, adversary: Adversary) -> Tensor:
        """L(x', y)."""
        return self.cross_entropy(net(self.crafted(x, y, adversary)), y)

    def crafted(self, x: Tensor, y: Tensor, adversary: Adversary) -> Tensor:
        """What is trained on in place of ``x``."""
        radius = LINF.radius(x, adversary.epsilon)
        start = LINF.random_start(x, radius, adversary.rng.named(self.type))
        return adversary.ascend(x, start, Objective(y).values, steps=self.steps, step=self.step)
