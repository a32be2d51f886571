"""TRADES (Zhang et al., ICML 2019, Eq. 5 and Algorithm 1).

    min_θ E[ L(p(x), y) + beta · max_{‖x' − x‖∞ ≤ ε} KL(p(x) ‖ p(x')) ]

beta is the source's 1/λ. The inner maximum is sought from x' = x + .001 · N(0, 1), since at x the
divergence is 0 and has no gradient, by steps of the gradient's sign.
"""

from typing import ClassVar, Final, Literal

from pydantic import Field
from torch import Tensor
from torch.nn import functional

from models.architectures import SpectrogramNet
from models.defenses.adversary import Adversary
from models.defenses.defense import DEFENSES, Defense, Inputs
from models.victims.network import NetworkView

START: Final = 0.001
"""Standard deviation of the start around the clip (Algorithm 1)."""


@DEFENSES.register
class Trades(Defense):
    """TRADES (Zhang et al., ICML 2019): L(x) + beta · KL(p(x) ‖ p(x')), with x' from projected
    gradient ascent on that divergence in the L∞ ball of radius epsilon."""

    inputs: ClassVar[Inputs] = "own"

    type: Literal["trades"] = "trades"
    beta: float = Field(
        6.0, ge=0, le=1000, description="Weight of the divergence, 1/λ of the source."
    )
    steps: int = Field(10, ge=1, le=100, description="Gradient steps of the inner maximisation.")
    step: float = Field(
        0.226, gt=0, le=2, description="Size of a step, of epsilon: .007 of .031 in the source."
    )

    def loss(self, net: SpectrogramNet, x: Tensor, y: Tensor, adversary: Adversary) -> Tensor:
        """L(x, y) + beta · KL(p(x) ‖ p(x')), each a mean over the batch."""
        x_adv = self.crafted(x, adversary)
        logits = net(x)
        apart = divergence(logits, net(x_adv)).mean()
        return self.cross_entropy(logits, y) + self.beta * apart

    def crafted(self, x: Tensor, adversary: Adversary) -> Tensor:
        """x', where the network's answer diverges most from the one at ``x``."""
        clean = NetworkView(adversary.net).scores(x)
        start = x + START * adversary.rng.named(self.type).normal(x.shape[1:]).to(x)
        return adversary.ascend(
            x, start, lambda logits: divergence(clean, logits), steps=self.steps, step=self.step
        )


def divergence(logits: Tensor, logits_adv: Tensor) -> Tensor:
    """KL(p ‖ p') of the softmaxes of two batches of logits (batch, classes), in nats: (batch,)."""
    return functional.kl_div(
        logits_adv.log_softmax(dim=1), logits.log_softmax(dim=1), reduction="none", log_target=True
    ).sum(dim=1)
