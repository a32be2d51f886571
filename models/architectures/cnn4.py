"""CNN-4 of the paper (Sec. 3.3): four 5x5 convolutions and a global max-pool."""

from itertools import pairwise

from torch import Tensor, nn

from models.architectures.base import ARCHITECTURES, SpectrogramNet
from models.architectures.one_channel import OneChannelConv2d


def conv_block(n_in: int, n_out: int) -> nn.Sequential:
    """5x5 "same" convolution without bias, batch norm, 2x2 max-pool, ReLU.

    The paper's table has ReLU before the pool. Both only compare, so their order changes no value
    and no gradient; after the pool, ReLU has a quarter of the work.
    """
    kind = OneChannelConv2d if n_in == 1 else nn.Conv2d
    return nn.Sequential(
        kind(n_in, n_out, kernel_size=5, padding=2, bias=False),
        nn.BatchNorm2d(n_out),
        nn.MaxPool2d(2),
        nn.ReLU(inplace=True),
    )


@ARCHITECTURES.register("cnn4")
class CNN4(SpectrogramNet):
    """Channels 64-128-256-512; the embedding is the maximum over time and frequency."""

    embedding_size = 512

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        channels = pairwise((1, 64, 128, 256, 512))
        self.blocks = nn.Sequential(*(conv_block(n_in, n_out) for n_in, n_out in channels))
        self.classifier = nn.Linear(self.embedding_size, n_classes)

    def embed(self, images: Tensor) -> Tensor:
        maps: Tensor = self.blocks(images)
        return maps.amax(dim=(2, 3))
