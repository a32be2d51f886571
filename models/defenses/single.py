"""No defence: training on clean data alone ("single" in Table 2 of the paper)."""

from typing import ClassVar, Literal

from torch import Tensor

from models.architectures import SpectrogramNet
from models.defenses.adversary import Adversary
from models.defenses.defense import DEFENSES, Defense, Inputs


@DEFENSES.register
class Single(Defense):
    """Clean data alone: no defence."""

    inputs: ClassVar[Inputs] = "clean"

    type: Literal["single"] = "single"

    def loss(self, net: SpectrogramNet, x: Tensor, y: Tensor, adversary: Adversary) -> Tensor:
        """Mean cross-entropy L(x, y)."""
        return self.cross_entropy(net(x), y)
