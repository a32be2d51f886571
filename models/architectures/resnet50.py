"""ResNet-50 (He et al., CVPR 2016, Table 1) with a one-channel stem."""

from typing import Final

from torch import Tensor, nn

from models.architectures.base import ARCHITECTURES, SpectrogramNet
from models.architectures.one_channel import OneChannelConv2d

EXPANSION: Final = 4
"""A bottleneck's output has four times the channels of its 3x3 convolution."""

STAGES: Final = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))
"""(channels of the 3x3 convolution, number of blocks, stride of the first) of each stage."""


class Bottleneck(nn.Module):
    """1x1, 3x3 (carries the stride), 1x1, each with batch norm, around a shortcut."""

    def __init__(self, n_in: int, channels: int, stride: int) -> None:
        super().__init__()
        n_out = channels * EXPANSION
        self.residual = nn.Sequential(
            nn.Conv2d(n_in, channels, kernel_size=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, channels, kernel_size=3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, n_out, kernel_size=1, bias=False),
            nn.BatchNorm2d(n_out),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or n_in != n_out:
            self.shortcut = nn.Sequential(
                nn.Conv2d(n_in, n_out, kernel_size=1, stride=stride, bias=False),
                nn.BatchNorm2d(n_out),
            )

    def forward(self, x: Tensor) -> Tensor:
        total: Tensor = self.residual(x) + self.shortcut(x)
        return total.relu()


@ARCHITECTURES.register("resnet50")
class ResNet50(SpectrogramNet):
    """Bottlenecks 3-4-6-3; the embedding is the average over time and frequency.

    The variant known as v1.5: where a stage halves its maps, the 3x3 convolution has the stride,
    not the first 1x1 as in He et al., so that no value of the maps is left out.
    """

    embedding_size = 512 * EXPANSION

    def __init__(self, n_classes: int) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            OneChannelConv2d(1, 64, kernel_size=7, stride=2, padding=3, bias=False),
            nn.BatchNorm2d(64),
            nn.ReLU(),
            nn.MaxPool2d(kernel_size=3, stride=2, padding=1),
        )
        blocks: list[nn.Module] = []
        n_in = 64
        for channels, depth, stride in STAGES:
            for index in range(depth):
                blocks.append(Bottleneck(n_in, channels, stride if index == 0 else 1))
                n_in = channels * EXPANSION
        self.blocks = nn.Sequential(*blocks)
        self.classifier = nn.Linear(self.embedding_size, n_classes)

    def embed(self, images: Tensor) -> Tensor:
        maps: Tensor = self.blocks(self.stem(images))
        return maps.mean(dim=(2, 3))
