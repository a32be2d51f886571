"""VGG-16 (Simonyan and Zisserman, ICLR 2015) as in the paper: batch norm, one linear layer."""

from typing import Final

from torch import Tensor, nn

from models.architectures.base import ARCHITECTURES, SpectrogramNet
from models.architectures.one_channel import OneChannelConv2d

BLOCKS: Final = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
"""(channels, number of convolutions) of each block; a 2x2 max-pool ends a block."""


@ARCHITECTURES.register("vgg16")
class VGG16(SpectrogramNet):
    """Thirteen 3x3 convolutions without bias, each with batch norm; global max-pool."""

    embedding_size = 512

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        n_in = 1
        for channels, depth in BLOCKS:
            for _ in range(depth):
                kind = OneChannelConv2d if n_in == 1 else nn.Conv2d
                layers += [
                    kind(n_in, channels, kernel_size=3, padding=1, bias=False),
                    nn.BatchNorm2d(channels),
                    nn.ReLU(),
                ]
                n_in = channels
            layers.append(nn.MaxPool2d(2))
        self.blocks = nn.Sequential(*layers)
        self.classifier = nn.Linear(self.embedding_size, n_classes)

    def embed(self, images: Tensor) -> Tensor:
        maps: Tensor = self.blocks(images)
        return maps.amax(dim=(2, 3))
