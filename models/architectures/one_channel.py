"""The first convolution of a spectrogram network, for those who attack it on a CPU."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.grad import conv2d_weight


class OneChannelConv2d(nn.Conv2d):
    """A convolution of one-channel images with a fast gradient at its input.

    The same function as ``torch.nn.Conv2d``. An attack differentiates with respect to the
    spectrogram, through a transposed convolution of many channels into one; the CPU kernels are
    made for many into many, and spend as long on this one as on half of the layer above it. As a
    matrix product and a sum of its patches it takes a quarter of that. Nothing else is replaced: a
    training that does not craft from its own pass asks for no gradient here, a GPU has kernels for
    it, and a layer or a call of another kind (see :meth:`_is_plain`), or one in eval mode whose
    weights are no constants, is torch's alone.
    """

    def forward(self, input: Tensor) -> Tensor:
        """(batch, 1, height, width) → (batch, channels, ...).

        Raises:
            RuntimeError: as ``torch.nn.Conv2d``.
        """
        asked = self.training or not self.weight.requires_grad
        if asked and input.requires_grad and input.device.type == "cpu" and self._is_plain(input):
            result: Tensor = _Attacked.apply(input, self.weight, self)  # type: ignore[no-untyped-call]
            return result
        return super().forward(input)

    def _is_plain(self, images: Tensor) -> bool:
        """Whether patches that are added where they lay are the gradient, to float precision."""
        return (
            images.ndim == 4
            and self.in_channels == 1
            and self.bias is None
            and self.padding_mode == "zeros"
            and not isinstance(self.padding, str)  # "same" may pad one side more than the other
            and images.dtype in {torch.float32, torch.float64}  # the weights' too, or torch refuses
            and not torch.is_autocast_enabled("cpu")  # the sum would be made in half precision
        )


class _Attacked(torch.autograd.Function):
    """The convolution, whose weights may be constants."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, layer: OneChannelConv2d) -> Tensor:
        ctx.layer, ctx.size = layer, images.shape[2:]
        ctx.save_for_backward(images, weight)
        return nn.Conv2d.forward(layer, images)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor | None, None]:
        """Each output's gradient times the kernel is a patch; patches are added where they lay."""
        layer: OneChannelConv2d = ctx.layer
        images, weight = ctx.saved_tensors
        of_weight: Tensor | None = None
        if ctx.needs_input_grad[1]:
            of_weight = conv2d_weight(  # type: ignore[no-untyped-call]
                images, weight.shape, gradient, layer.stride, layer.padding, layer.dilation
            )
        patches = weight.flatten(1).t() @ gradient.flatten(2)
        of_images = functional.fold(
            patches,
            ctx.size,
            layer.kernel_size,
            dilation=layer.dilation,
            padding=layer.padding,  # type: ignore[arg-type]  # numbers: see _is_plain
            stride=layer.stride,
        )
        return of_images, of_weight, None
