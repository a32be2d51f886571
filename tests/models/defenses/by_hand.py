"""Two clips and a network so simple that every term of a loss can be worked out on paper.

Two classes. The logits of a clip are (its first value, 0), its embedding its values.

    clean        (0, 0)          logits (0, 0)       true class 0: p = 1/2        loss ln 2
                 (ln 3, 4)       logits (ln 3, 0)    true class 0: p = 3/4        loss ln 4/3
    adversarial  (-ln 3, 3)      logits (-ln 3, 0)   true class 0: p = 1/4        loss ln 4
                 (0, 0)          logits (0, 0)       true class 0: p = 1/2        loss ln 2
"""

import math

import torch
from torch import Tensor, nn

from models.architectures import SpectrogramNet
from models.attacks.fgsm import Fgsm
from models.defenses import Adversary
from models.rng import Rng
from tests.models.tiny import TinyNet

LN3 = math.log(3)
CLEAN = torch.tensor([[0.0, 0.0], [LN3, 4.0]])
ADVERSARIAL = torch.tensor([[-LN3, 3.0], [0.0, 0.0]])
LABELS = torch.tensor([0, 0])
CLEAN_LOSS = (math.log(2) + math.log(4 / 3)) / 2
ADVERSARIAL_LOSS = (math.log(4) + math.log(2)) / 2


class Transparent(SpectrogramNet):
    """Its embedding is its input, its logits are the first value and zero."""

    embedding_size = 2

    def __init__(self) -> None:
        super().__init__()
        self.classifier = nn.Linear(2, 2, bias=False)
        self.classifier.weight = nn.Parameter(torch.tensor([[1.0, 0.0], [0.0, 0.0]]))

    def embed(self, images: Tensor) -> Tensor:
        return images

    def forward_features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.classifier(x), x


class Recording(TinyNet):
    """Keeps what it was shown, and in which mode."""

    def __init__(self) -> None:
        super().__init__(3)
        self.seen: list[Tensor] = []
        self.modes: list[bool] = []

    def embed(self, images: Tensor) -> Tensor:
        self.seen.append(images.squeeze(1).detach())
        self.modes.append(self.training)
        return super().embed(images)


class Given(Adversary):
    """An adversary whose batch is known beforehand."""

    x_adv: Tensor

    def batch(self, x: Tensor, y: Tensor) -> Tensor:
        return self.x_adv


def given(net: SpectrogramNet, x_adv: Tensor) -> Adversary:
    """The adversary of ``net`` that answers this batch."""
    adversary = Given(net, Fgsm(), 0.1, Rng(0, range(len(x_adv))))
    object.__setattr__(adversary, "x_adv", x_adv)
    return adversary


def adversary(net: SpectrogramNet, clips: int, epsilon: float = 0.1, seed: int = 0) -> Adversary:
    """FGSM against ``net`` as it is."""
    return Adversary(net, Fgsm(), epsilon, Rng(seed, range(clips), "test"))
