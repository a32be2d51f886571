"""float32 on a GPU as on a CPU: scores that are reported do not depend on the device.

cuDNN convolves float32 with 10 of its 23 bits of mantissa (TF32) where nobody forbids it. That
moved probabilities of CNN-4 under FGSM by up to .004 from those of a CPU, and one prediction of
2,400. Training steps keep it: those of CNN-4 and VGG-16 are four to five times as fast so.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

_OPERATIONS: tuple[Any, ...] = (
    torch.backends.cudnn.conv,  # type: ignore[attr-defined]  # there at run time
    torch.backends.cudnn.rnn,
    torch.backends.cuda.matmul,
)
"""What a GPU may round: convolutions, recurrent layers, products of matrices."""


@contextmanager
def full_float32(*, enabled: bool = True) -> Iterator[None]:
    """Compute in float32 proper, and to the same bits each time, until this is left.

    With ``enabled`` False a GPU may round to ten bits meanwhile. It counts for the whole process:
    only one thread at a time may use a GPU.
    """
    cudnn = torch.backends.cudnn
    before = [operation.fp32_precision for operation in _OPERATIONS], cudnn.deterministic
    for operation in _OPERATIONS:
        operation.fp32_precision = "ieee" if enabled else "tf32"
    cudnn.deterministic = True
    try:
        yield
    finally:
        for operation, precision in zip(_OPERATIONS, before[0], strict=True):
            operation.fp32_precision = precision
        cudnn.deterministic = before[1]


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
