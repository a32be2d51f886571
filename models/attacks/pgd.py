"""Projected gradient descent in the L-infinity ball (Madry et al., ICLR 2018, Eq. 2)."""

import torch
from torch import Tensor, nn

from models.attacks.gradient import check_sizes, direction, frozen, input_gradient


def pgd(
    net: nn.Module,
    x: Tensor,
    y: Tensor,
    epsilon: float,
    step: float,
    steps: int,
    random_start: bool = False,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Repeat a signed gradient step, each time projected back to ``epsilon`` around ``x``.

    One step of size ``epsilon`` without a random start is :func:`models.attacks.fgsm`.

    Args:
        net: maps ``x`` to logits (batch, classes); left as it was.
        x: clean input, (batch, ...), any rank; not modified.
        y: labels to move away from, (batch,), int64.
        epsilon: radius of the ball, in the units of ``x``.
        step: size of one step, same units.
        steps: number of steps.
        random_start: begin at a uniformly drawn point of the ball.
        generator: source of that draw, on the device of ``x``.

    Returns:
        The adversarial input: shape, dtype and device of ``x``, detached; NaN where the gradient
        is NaN.

    Raises:
        ValueError: ``epsilon``, ``step`` or ``steps`` is negative or not finite.
    """
    check_sizes(epsilon=epsilon, step=step, steps=steps)
    x = x.detach()
    x_adv = x.clone()
    if random_start:
        noise = torch.rand(x.shape, generator=generator, dtype=x.dtype, device=x.device)
        x_adv = x + epsilon * (2 * noise - 1)
    with frozen(net):
        for _ in range(steps):
            x_adv = x_adv + step * direction(input_gradient(net, x_adv, y))
            x_adv = x + (x_adv - x).clamp(-epsilon, epsilon)
    return x_adv
