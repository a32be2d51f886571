"""Similarity-based adversarial training (Eq. 4 of the paper)."""

from typing import Literal, get_args

import torch
from torch import Tensor
from torch.nn import functional

from models.architectures import SpectrogramNet

Distance = Literal["mse", "l2"]


def similarity(
    net: SpectrogramNet,
    x: Tensor,
    x_adv: Tensor,
    y: Tensor,
    beta: float = 0.4,
    gamma: float = 0.4,
    distance: Distance = "mse",
) -> Tensor:
    """beta * L(x, y) + gamma * L(x_adv, y) + (1 - beta - gamma) * d(v, v_adv), a scalar.

    v and v_adv are the embeddings before the last linear layer. The paper writes d as the L2 norm,
    the authors' reference code takes the mean squared error over the features; on the same vectors
    they differ by two to three orders of magnitude, so the choice has a name.

    Args:
        x, x_adv: clean and adversarial input, (batch, frames, mels).
        y: labels of both, (batch,), int64.
        beta, gamma: weights of the clean and of the adversarial loss; neither is negative and
            their sum is at most 1.
        distance: "mse", the mean over batch and features of the squared difference; "l2", the
            mean over the batch of the Euclidean norm.

    Raises:
        ValueError: a weight is out of range or the distance is unknown.
    """
    if not (beta >= 0 and gamma >= 0 and beta + gamma <= 1):  # refuses NaN too
        raise ValueError(
            f"beta {beta} and gamma {gamma}: both must be at least 0 and their sum at most 1"
        )
    if distance not in get_args(Distance):
        raise ValueError(f"unknown distance {distance!r}: choose one of {list(get_args(Distance))}")
    logits, v = net.forward_features(x)
    logits_adv, v_adv = net.forward_features(x_adv)
    clean = functional.cross_entropy(logits, y)
    adversarial = functional.cross_entropy(logits_adv, y)
    apart = embedding_distance(v, v_adv, distance)
    return beta * clean + gamma * adversarial + (1 - beta - gamma) * apart


def embedding_distance(v: Tensor, v_adv: Tensor, distance: Distance) -> Tensor:
    """The third term of Eq. 4 for embeddings ``(batch, features)``, a scalar."""
    if distance == "mse":
        return functional.mse_loss(v_adv, v)
    norms: Tensor = torch.linalg.vector_norm(v - v_adv, dim=1)
    return norms.mean()
