"""Vanilla adversarial training (Eq. 3 of the paper; Goodfellow et al., ICLR 2015, Sec. 6)."""

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from models.architectures import SpectrogramNet
from models.defenses.adversary import Adversary
from models.defenses.defense import DEFENSES, Defense


@DEFENSES.register
class Vanilla(Defense):
    """Adversarial training (Eq. 3): alpha · L(x) + (1 − alpha) · L(x')."""

    fuses: ClassVar[bool] = True

    type: Literal["vanilla"] = "vanilla"
    alpha: float = Field(0.5, ge=0, le=1, description="Weight of the clean loss.")

    def loss(self, net: SpectrogramNet, x: Tensor, y: Tensor, adversary: Adversary) -> Tensor:
        """alpha · L(x, y) + (1 − alpha) · L(x', y).

        With alpha 1 nothing is crafted, so that not even batch norm sees an adversarial clip.
        """
        if self.alpha == 1:
            return self.cross_entropy(net(x), y)
        x_adv = adversary.batch(x, y)
        clean = self.cross_entropy(net(x), y)
        return self.alpha * clean + (1 - self.alpha) * self.cross_entropy(net(x_adv), y)

    def fused_loss(self, net: SpectrogramNet, x: Tensor, y: Tensor, adversary: Adversary) -> Tensor:
        """The gradients of alpha · L(x, y), and (1 − alpha) · L(x', y) to be differentiated.

        One backward pass over the clean clips gives the gradients of input and weights, and frees
        what it kept before the adversarial clips pass.
        """
        if self.alpha == 1:
            return self.cross_entropy(net(x), y)
        leaf = x.detach().requires_grad_(True)
        clean = self.cross_entropy(net(leaf), y)
        weights = [weight for weight in net.parameters() if weight.requires_grad]
        direction, *gradients = torch.autograd.grad(clean, (leaf, *weights), allow_unused=True)
        for weight, gradient in zip(weights, gradients, strict=True):
            if gradient is not None:
                share = self.alpha * gradient
                weight.grad = share if weight.grad is None else weight.grad + share
        adversarial = self.cross_entropy(net(adversary.along(x, direction)), y)
        return self.alpha * clean.detach() + (1 - self.alpha) * adversarial
