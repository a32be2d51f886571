"""Vanilla adversarial training (Eq. 3 of the paper; Goodfellow et al., ICLR 2015, Sec. 6)."""

from torch import Tensor, nn
from torch.nn import functional


def vanilla(net: nn.Module, x: Tensor, x_adv: Tensor, y: Tensor, alpha: float = 0.5) -> Tensor:
    """alpha * L(x, y) + (1 - alpha) * L(x_adv, y), a scalar.

    Args:
        x, x_adv: clean and adversarial input, (batch, frames, mels).
        y: labels of both, (batch,), int64.
        alpha: weight of the clean loss, in [0, 1]; 1 is training without a defence, and the
            adversarial forward is then left out, so that not even batch norm sees ``x_adv``.

    Raises:
        ValueError: ``alpha`` is outside [0, 1].
    """
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha is {alpha}: it must lie in [0, 1]")
    clean = functional.cross_entropy(net(x), y)
    if alpha == 1:
        return clean
    return alpha * clean + (1 - alpha) * functional.cross_entropy(net(x_adv), y)
