"""No defence: training on clean data alone ("single" in Table 2 of the paper)."""

from torch import Tensor, nn
from torch.nn import functional


def single(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Mean cross-entropy L(x, y), a scalar.

    Args:
        x: (batch, frames, mels).
        y: (batch,), int64.
    """
    return functional.cross_entropy(net(x), y)
