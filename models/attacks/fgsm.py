"""Fast gradient sign method (Goodfellow et al., ICLR 2015; Eq. 1-2 of the paper)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from models.attacks.gradient import check_sizes, direction, frozen, input_gradient


def fgsm(net: nn.Module, x: Tensor, y: Tensor, epsilon: float, clip: float | None = None) -> Tensor:
    """Move every value of ``x`` by ``epsilon`` in the direction that raises the loss.

    Args:
        net: maps ``x`` to logits (batch, classes); left as it was.
        x: clean input, (batch, ...), any rank; not modified.
        y: labels to move away from, (batch,), int64.
        epsilon: step in the units of ``x`` (z-scored log-mels: standard deviations of the band).
        clip: eta of Eq. 2, the change is clipped to [-eta, eta]; None leaves it.

    Returns:
        The adversarial input: shape, dtype and device of ``x``, detached; NaN where the gradient
        is NaN.

    Raises:
        ValueError: ``epsilon`` or ``clip`` is negative or not finite.
    """
    return fgsm_grid(net, x, y, [epsilon], clip)[0]


def fgsm_grid(
    net: nn.Module, x: Tensor, y: Tensor, epsilons: Sequence[float], clip: float | None = None
) -> Tensor:
    """:func:`fgsm` for many epsilons with one backward pass: the gradient does not depend on them.

    Returns:
        (len(epsilons), batch, ...), detached.

    Raises:
        ValueError: there is no epsilon, or one or ``clip`` is negative or not finite.
    """
    if len(epsilons) == 0:  # an array has no truth of its own
        raise ValueError("epsilons is empty: give at least one strength")
    for epsilon in epsilons:
        check_sizes(epsilon=epsilon, clip=clip)
    with frozen(net):
        towards = direction(input_gradient(net, x, y))
    x = x.detach()
    changes = (epsilon * towards for epsilon in epsilons)
    if clip is not None:
        changes = (change.clamp(-clip, clip) for change in changes)
    return torch.stack([x + change for change in changes])
