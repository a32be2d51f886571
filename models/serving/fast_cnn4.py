"""CNN-4 on a CPU in less than half the time of its plain form.

It spends its time in 5x5 convolutions. Minimal filtering (Winograd, "Arithmetic complexity of
computations", 1980; for networks Lavin and Gray, CVPR 2016, Eq. 8) computes 4x4 outputs of such a
convolution with 64 multiplications instead of 400: both operands are transformed by small constant
matrices, multiplied value by value, and transformed back. All three steps are matrix products here.
Batch norm is folded into the weights, and bias and ReLU come after the max-pool, where they touch
a quarter of the values: both are monotonic, so the result is the same.
"""

from typing import Final, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.architectures.cnn4 import CNN4
from models.features import FRAMES, MELS
from models.serving.minimal_filtering import KERNEL, OUTPUTS, TILE, minimal_filtering
from models.serving.packed_product import PackedProduct
from models.serving.steps import Steps

MOST_TILES: Final = 96
"""At a time: the coordinates of more would push each other out of the caches."""
MOST_OF_SEVERAL: Final = 48
"""At a time, of several clips: they read the weights once, in blocks that a lone clip can use."""


class FastCNN4(nn.Module):
    """CNN-4 for predictions on a CPU; logits within float32 rounding of the plain network's.

    Args:
        net: the plain network.
        frames: of the clips that it is to be fast for; others take longer than they need to.
    """

    def __init__(self, net: CNN4, frames: int = FRAMES) -> None:
        super().__init__()
        first, *others = (folded(cast(nn.Sequential, block)) for block in net.blocks)
        sizes = [(frames >> halved, MELS >> halved) for halved in range(1, 4)]
        self.blocks = nn.Sequential(
            FirstBlock(*first),
            *(TiledBlock(*pair, *size) for pair, size in zip(others, sizes, strict=True)),
        )
        self.classifier = nn.Linear(net.classifier.in_features, net.classifier.out_features)
        self.classifier.load_state_dict(net.classifier.state_dict())

    def forward(self, x: Tensor) -> Tensor:
        """Logits (batch, classes) of z-scored log-mels (batch, frames, mels)."""
        maps: Tensor = self.blocks(x)
        logits: Tensor = self.classifier(maps.amax(dim=(1, 2)))
        return logits


def folded(block: nn.Sequential) -> tuple[Tensor, Tensor]:
    """Convolution and batch norm in one: weight (out, in, 5, 5) and bias (out,), float64."""
    convolution, norm = cast(nn.Conv2d, block[0]), cast(nn.BatchNorm2d, block[1])
    if norm.running_mean is None or norm.running_var is None:
        raise ValueError("a batch norm without running statistics cannot be folded")
    scale = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
    weight = convolution.weight.double() * scale[:, None, None, None]
    return weight.detach(), (norm.bias.double() - norm.running_mean * scale).detach()


class FirstBlock(nn.Module):
    """The block with one input channel: too few for minimal filtering to pay.

    Buffers:
        weight: (channels, 1, 5, 5).
        bias: (channels,).
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        weight = weight.float().contiguous(memory_format=torch.channels_last)
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias.float())

    def forward(self, x: Tensor) -> Tensor:
        """(batch, frames, mels) → (batch, frames // 2, mels // 2, channels)."""
        image = x.unsqueeze(3).permute(0, 3, 1, 2)  # channels last: how the maps will lie, too
        maps = functional.conv2d(image, self.weight, self.bias, padding=KERNEL // 2)
        return functional.relu_(functional.max_pool2d(maps, 2)).permute(0, 2, 3, 1)


class TiledBlock(nn.Module):
    """Convolution, max-pool, bias and ReLU with minimal filtering F(4x4, 5x5).

    Args:
        weight, bias: of the convolution with its batch norm.
        height, width: of the maps that it is to be fast for.

    Buffers:
        into: B^T, (8, 8): 8 values of a tile → 8 coordinates, first down, then across.
        back: A^T, (4, 8): 8 coordinates → 4 outputs, first across, then down; those of one place
            in the pool's cells side by side.
        bias: (out,).
    """

    into: Tensor
    back: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor, height: int, width: int) -> None:
        super().__init__()
        outputs, kernel, tile = minimal_filtering()
        transformed = torch.einsum("ij,ocjk,lk->lico", kernel, weight, kernel)
        self.product = PackedProduct(
            transformed.flatten(0, 1).float(), tiles_at_a_time(height, width)
        )
        self.register_buffer("into", tile.float())
        self.register_buffer("back", outputs[[0, 2, 1, 3]].float())
        self.register_buffer("bias", bias.float())

    def forward(self, maps: Tensor) -> Tensor:
        """(batch, height, width, in) → (batch, height // 2, width // 2, out)."""
        batch, height, width, _ = maps.shape
        rows, columns = tiles(height), tiles(width)
        below, right = rows * OUTPUTS + 2 - height, columns * OUTPUTS + 2 - width
        padded = functional.pad(maps, (0, 0, 2, right, 2, below))
        strips = padded.flatten(2).unfold(1, TILE, OUTPUTS).mT.flatten(0, 1)
        pooled = maps.new_empty(len(strips), 2, columns, 2, len(self.bias))
        cells = pooled.permute(0, 2, 3, 1, 4)
        most = max(1, self.product.rows // columns)
        steps: dict[int, Steps] = {}  # the last part may be smaller
        for part, into in zip(torch.split(strips, most), torch.split(cells, most), strict=True):
            n = len(part)
            if n not in steps:
                steps[n] = Steps(n, columns, maps.shape[3], self.into, self.back, self.product)
            steps[n].take(part, into)
        pooled.add_(self.bias).relu_()
        return pooled.view(batch, 2 * rows, 2 * columns, -1)[:, : height // 2, : width // 2]


def tiles(length: int) -> int:
    """How many cover ``length`` values: an odd last one never reaches the pool's output."""
    return -(-(length - length % 2) // OUTPUTS)


def tiles_at_a_time(height: int, width: int) -> int:
    """Whole rows of tiles: those of a clip in equal parts, or those of several clips."""
    rows, columns = tiles(height), tiles(width)
    parts = -(-rows * columns // MOST_TILES)
    clips = max(1, MOST_OF_SEVERAL // (rows * columns))
    return -(-rows // parts) * columns * clips
