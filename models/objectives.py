"""What an attack maximises: a loss of the logits, one number a clip.

| loss | moves away from y | moves towards t | source |
|---|---|---|---|
| ce | log-loss of y | − log-loss of t | Goodfellow et al., ICLR 2015 |
| margin | max_{j≠y} z_j − z_y | z_t − max_{j≠t} z_j | Carlini & Wagner, S&P 2017, f_6 |
| dlr | −(z_y − max_{j≠y} z_j) / (z_π1 − z_π3) | | Croce & Hein, ICML 2020, Eq. 6 |

π sorts the logits from the largest down. DLR does not change when the logits are scaled or shifted,
so that it has a gradient where a softmax saturates; it needs three classes.
"""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor
from torch.nn import functional

Loss = Literal["ce", "margin", "dlr"]
DLR_CLASSES = 3
"""The fewest for which it is defined."""


@dataclass(frozen=True)
class Objective:
    """A loss and the class that it is about.

    Attributes:
        y: (batch,), int64: the class to move away from, or to move towards.
        loss: see the table above.
        targeted: whether ``y`` is to be reached instead of left.

    Raises:
        ValueError: a targeted DLR loss.
    """

    y: Tensor
    loss: Loss = "ce"
    targeted: bool = False

    def __post_init__(self) -> None:
        if self.targeted and self.loss == "dlr":
            raise ValueError("dlr has no target here: give loss ce or margin")

    def values(self, logits: Tensor) -> Tensor:
        """What is to rise, for each clip: (batch, classes) → (batch,)."""
        if self.loss == "ce":
            value = functional.cross_entropy(logits, self.y, reduction="none")
            return -value if self.targeted else value
        value = margin(logits, self.y)
        if self.loss == "dlr":
            ordered = logits.sort(dim=1, descending=True).values
            return value / (ordered[:, 0] - ordered[:, 2] + 1e-12)
        return -value if self.targeted else value

    def reached(self, logits: Tensor) -> Tensor:
        """Whether the prediction is such as the attack wants, (batch,) bool."""
        predicted = logits.argmax(dim=1)
        return predicted == self.y if self.targeted else predicted != self.y

    def subset(self, index: Tensor) -> "Objective":
        """The same for some of the clips, (n,) int64."""
        return Objective(self.y[index], self.loss, self.targeted)


def margin(logits: Tensor, y: Tensor) -> Tensor:
    """max_{j≠y} z_j − z_y, (batch, classes) → (batch,): positive where ``y`` is not predicted."""
    own = logits.gather(1, y[:, None]).squeeze(1)
    others = logits.scatter(1, y[:, None], float("-inf")).amax(dim=1)
    return others - own


__all__ = ["DLR_CLASSES", "Loss", "Objective", "margin"]
