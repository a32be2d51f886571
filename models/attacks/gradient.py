"""What every white-box attack needs: the loss gradient at the input of an unchanged network."""

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional


def check_sizes(**sizes: float | None) -> None:
    """Refuse sizes that make no attack: NaN would pass every comparison that is to bound it.

    Args:
        sizes: strengths, steps and bounds by name; None is left out.

    Raises:
        ValueError: one is negative or not finite.
    """
    for name, size in sizes.items():
        if size is not None and not (math.isfinite(size) and size >= 0):
            raise ValueError(f"{name} is {size}: give a finite number of at least 0")


@contextmanager
def frozen(net: nn.Module) -> Iterator[nn.Module]:
    """The network in eval mode (batch-norm statistics fixed) and without parameter gradients.

    Skipping the parameters' gradients also saves a third of a backward pass. On leaving, every
    submodule's training flag and every parameter's ``requires_grad`` is what it was.
    """
    training = [(module, module.training) for module in net.modules()]
    trainable = [p for p in net.parameters() if p.requires_grad]
    try:
        net.eval()
        for parameter in trainable:
            parameter.requires_grad_(False)
        yield net
    finally:
        for parameter in trainable:
            parameter.requires_grad_(True)
        for module, flag in training:
            module.training = flag


def direction(gradient: Tensor) -> Tensor:
    """The sign of each value: -1, 0 or 1, and NaN for NaN.

    ``torch.sign`` says 0 of NaN: an attack that met one would look like one that changed nothing
    there, and whoever runs it could not tell.
    """
    return torch.where(gradient.isnan(), gradient, gradient.sign())


def input_gradient(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Gradient of the **summed** cross-entropy with respect to the input.

    The sum, not the mean: each clip's gradient is then the same in every batch.

    Args:
        net: the network, already frozen.
        x: input, (batch, ...).
        y: labels, (batch,), int64.

    Returns:
        Shape, dtype and device of ``x``, detached.
    """
    with torch.enable_grad():
        leaf = x.detach().requires_grad_(True)
        loss = functional.cross_entropy(net(leaf), y, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, leaf)
    return gradient
