"""The first convolution of a spectrogram network, for those who attack it on a CPU."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional


class OneChannelConv2d(nn.Conv2d):
    """A convolution of one-channel images with a fast gradient at its input.

    The same function as ``torch.nn.Conv2d``. An attack differentiates with respect to the
    spectrogram, through a transposed convolution of many channels into one; the CPU kernels are
    made for many into many, and spend as long on this one as on half of the layer above it. As a
    matrix product and a sum of its patches it takes a quarter of that. Nothing else is replaced: a
    training asks for no gradient here, and a GPU has kernels for it.
    """

    def forward(self, input: Tensor) -> Tensor:
        """(batch, 1, height, width) → (batch, channels, ...)."""
        attacked = input.requires_grad and not self.weight.requires_grad
        if attacked and input.device.type == "cpu":
            result: Tensor = _Attacked.apply(input, self)  # type: ignore[no-untyped-call]
            return result
        return super().forward(input)


class _Attacked(torch.autograd.Function):
    """The convolution whose weights are constants."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, layer: OneChannelConv2d) -> Tensor:
        ctx.layer, ctx.size = layer, images.shape[2:]
        ctx.save_for_backward(layer.weight)
        return nn.Conv2d.forward(layer, images)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """Each output's gradient times the kernel is a patch; patches are added where they lay."""
        layer: OneChannelConv2d = ctx.layer
        (weight,) = ctx.saved_tensors
        patches = weight.flatten(1).t() @ gradient.flatten(2)
        images = functional.fold(
            patches,
            ctx.size,
            layer.kernel_size,
            dilation=layer.dilation,
            padding=layer.padding,  # type: ignore[arg-type]  # "same" is not used here
            stride=layer.stride,
        )
        return images, None
