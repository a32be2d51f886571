"""float32 on a GPU as on a CPU: scores that are reported do not depend on the device.

cuDNN convolves float32 with 10 of its 23 bits of mantissa (TF32) where nobody forbids it. That
moved probabilities of CNN-4 under FGSM by up to .004 from those of a CPU, and one prediction of
2,400. Training steps keep it: those of CNN-4 and VGG-16 are four to five times as fast so.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


@contextmanager
def full_float32() -> Iterator[None]:
    """Convolve in float32 proper, and to the same bits each time, until this is left.

    It counts for the whole process: only one thread at a time may use a GPU.
    """
    cudnn = torch.backends.cudnn
    conv = cudnn.conv  # type: ignore[attr-defined]  # there at run time
    before = conv.fp32_precision, cudnn.deterministic
    conv.fp32_precision, cudnn.deterministic = "ieee", True
    try:
        yield
    finally:
        conv.fp32_precision, cudnn.deterministic = before


class FullFloat32(nn.Module):
    """A network whose every pass is in float32 proper."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        """What the network says of ``x``."""
        with full_float32():
            answer: Tensor = self.net(x)
        return answer
