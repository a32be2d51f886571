"""Similarity-based adversarial training (Eq. 4 of the paper)."""

from typing import ClassVar, Literal

import torch
from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError
from torch import Tensor
from torch.nn import functional

from models.architectures import SpectrogramNet
from models.defenses.adversary import Adversary
from models.defenses.defense import DEFENSES, Defense

Distance = Literal["mse", "l2"]


@DEFENSES.register
class Similarity(Defense):
    """Similarity-based adversarial training (Eq. 4):
    beta · L(x) + gamma · L(x') + (1 − beta − gamma) · d(v, v')."""

    fuses: ClassVar[bool] = True

    type: Literal["similarity"] = "similarity"
    beta: float = Field(0.4, ge=0, le=1, description="Weight of the clean loss.")
    gamma: float = Field(
        0.4,
        ge=0,
        le=1,
        description="Weight of the adversarial loss; beta + gamma is at most 1, and what is left is"
        " the weight of the distance.",
    )
    distance: Distance = Field(
        "mse",
        description="How embeddings are compared: their mean squared error, as in the authors'"
        " code, or the L2 norm of Eq. 4. The two differ by orders of magnitude.",
    )

    @field_validator("gamma")
    @classmethod
    def _leave_something(cls, value: float, info: ValidationInfo) -> float:
        beta = info.data.get("beta", 0.0)  # absent if it was refused itself
        if beta + value > 1:
            raise PydanticCustomError(
                "weights_above_1",
                "beta + gamma is {total}: give weights that sum to at most 1; the rest is the"
                " weight of the distance",
                {"total": f"{beta + value:g}"},
            )
        return value

    def loss(self, net: SpectrogramNet, x: Tensor, y: Tensor, adversary: Adversary) -> Tensor:
        """beta · L(x, y) + gamma · L(x', y) + (1 − beta − gamma) · d(v, v').

        v and v' are the embeddings before the last linear layer. The paper writes d as the L2 norm,
        the authors' reference code takes the mean squared error over the features; on the same
        vectors they differ by two to three orders of magnitude, so the choice has a name.
        """
        x_adv = adversary.batch(x, y)
        logits, v = net.forward_features(x)
        logits_adv, v_adv = net.forward_features(x_adv)
        clean = self.cross_entropy(logits, y)
        adversarial = self.cross_entropy(logits_adv, y)
        return self._sum(clean, adversarial, embedding_distance(v, v_adv, self.distance))

    def fused_loss(self, net: SpectrogramNet, x: Tensor, y: Tensor, adversary: Adversary) -> Tensor:
        """The whole of it: v is differentiated again when x' is known, so only a forward pass is
        saved."""
        leaf = x.detach().requires_grad_(True)
        logits, v = net.forward_features(leaf)
        clean = self.cross_entropy(logits, y)
        (direction,) = torch.autograd.grad(clean, leaf, retain_graph=True)
        logits_adv, v_adv = net.forward_features(adversary.along(x, direction))
        adversarial = self.cross_entropy(logits_adv, y)
        return self._sum(clean, adversarial, embedding_distance(v, v_adv, self.distance))

    def _sum(self, clean: Tensor, adversarial: Tensor, apart: Tensor) -> Tensor:
        return self.beta * clean + self.gamma * adversarial + (1 - self.beta - self.gamma) * apart


def embedding_distance(v: Tensor, v_adv: Tensor, distance: Distance) -> Tensor:
    """The third term of Eq. 4 for embeddings ``(batch, features)``, a scalar.

    "mse" is the mean over batch and features of the squared difference, "l2" the mean over the
    batch of the Euclidean norm.
    """
    if distance == "mse":
        return functional.mse_loss(v_adv, v)
    norms: Tensor = torch.linalg.vector_norm(v - v_adv, dim=1)
    return norms.mean()
