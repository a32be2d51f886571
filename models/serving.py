"""The network as it is served: the same function, arranged for one processor.

On a CPU, CNN-4 spends its time in 5x5 convolutions. Minimal filtering (Winograd, "Arithmetic
complexity of computations", 1980; for networks Lavin and Gray, CVPR 2016, Eq. 8) computes 4x4
outputs of such a convolution with 64 multiplications instead of 400: both operands are transformed
by small constant matrices, multiplied value by value, and transformed back. All three steps are
matrix products here. Batch norm is folded into the weights, and bias and ReLU come after the
max-pool, where they touch a quarter of the values: both are monotonic, so the result is the same.

Predictions and the scores of an audit come from this view. It has no gradients: training and
attacks use the plain network.
"""

from typing import Final, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.architectures import CNN4, SpectrogramNet

KERNEL: Final = 5
OUTPUTS: Final = 4
"""Outputs of a tile in each direction; 6 would save little more and lose a digit of precision."""
TILE: Final = OUTPUTS + KERNEL - 1
TILES_AT_A_TIME: Final = 128
"""Their coordinates and products, some megabytes, then stay in a core's cache between the steps."""
POINTS: Final = (0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5)
"""Where the polynomials are evaluated, besides infinity: powers of two round exactly."""


def served(net: SpectrogramNet, device: torch.device) -> nn.Module:
    """The fastest view of ``net`` for predictions on ``device``.

    Args:
        net: any network; its weights are copied where the view changes them.
        device: where it will run.

    Returns:
        A module in eval mode on ``device``: (batch, frames, mels) float32 → logits
        (batch, classes). It follows no later change of ``net``.
    """
    net.eval()
    return scorer(net, device).to(device).eval().requires_grad_(False)


def scorer(net: nn.Module, device: torch.device) -> nn.Module:
    """The same view of a network that stays as it is, for audits: a copy, or ``net`` itself.

    Args:
        net: any network, in any mode, on ``device``.
        device: where it runs.

    Returns:
        The fast view in eval mode where there is one, else ``net``, in the mode that it is in.
    """
    return FastCNN4(net).eval() if isinstance(net, CNN4) and device.type == "cpu" else net


class FastCNN4(nn.Module):
    """CNN-4 for predictions on a CPU; logits within float32 rounding of the plain network's."""

    def __init__(self, net: CNN4) -> None:
        super().__init__()
        first, *others = (folded(cast(nn.Sequential, block)) for block in net.blocks)
        self.blocks = nn.Sequential(FirstBlock(*first), *(TiledBlock(*pair) for pair in others))
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
    """The block with one input channel, as one product with a banded matrix.

    A patch of 6x8 values holds all that 2x4 outputs need: two cells of the 2x2 max-pool.

    Buffers:
        band: (48, 4 * 2 * channels), columns by place in the cell of the pool, cell, channel.
        bias: (channels,).
    """

    band: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        band = weight.new_zeros(6, 8, 2, 2, 2, len(weight))
        for row in range(2):
            for cell in range(2):
                for column in range(2):
                    left = 2 * cell + column
                    window = band[row : row + KERNEL, left : left + KERNEL]
                    window[:, :, row, column, cell] = weight[:, 0].permute(1, 2, 0)
        self.register_buffer("band", band.reshape(48, -1).float())
        self.register_buffer("bias", bias.float())

    def forward(self, x: Tensor) -> Tensor:
        """(batch, frames, mels) → (batch, frames // 2, mels // 2, channels)."""
        batch, height, width = x.shape
        rows, columns = height // 2, width // 2
        padded = functional.pad(x, (2, 2 + 4 - width % 4, 2, 2))
        patches = padded.unfold(1, 6, 2).unfold(2, 8, 4)[:, :rows, : (columns + 1) // 2]
        products = patches.reshape(-1, 48) @ self.band
        pooled = maximum_of_four(products.view(-1, 4, 2 * len(self.bias)).unbind(1))
        maps = pooled.view(batch, rows, -1, len(self.bias))[:, :, :columns]
        return functional.relu_(maps + self.bias)


class TiledBlock(nn.Module):
    """Convolution, max-pool, bias and ReLU with minimal filtering F(4x4, 5x5).

    Buffers:
        weight: transformed kernels, (64, in, out).
        into: B^T x B^T, (64, 64): a tile of 8x8 values → 64 coordinates.
        back: A^T x A^T, (16, 64): 64 coordinates → 4x4 outputs, by place in the pool's cell.
        bias: (out,).
    """

    weight: Tensor
    into: Tensor
    back: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        outputs, kernel, tile = minimal_filtering()
        transformed = torch.einsum("ij,ocjk,lk->ilco", kernel, weight, kernel)
        into = torch.einsum("ij,kl->ikjl", tile, tile)
        back = torch.einsum("ij,kl->ikjl", outputs, outputs).reshape(2, 2, 2, 2, TILE**2)
        self.register_buffer("weight", transformed.flatten(0, 1).float().contiguous())
        self.register_buffer("into", into.reshape(TILE**2, TILE**2).float())
        self.register_buffer("back", back.permute(1, 3, 0, 2, 4).reshape(-1, TILE**2).float())
        self.register_buffer("bias", bias.float())

    def forward(self, maps: Tensor) -> Tensor:
        """(batch, height, width, in) → (batch, height // 2, width // 2, out)."""
        batch, height, width, _ = maps.shape
        rows, columns = -(-height // OUTPUTS), -(-width // OUTPUTS)
        below, right = rows * OUTPUTS + 2 - height, columns * OUTPUTS + 2 - width
        padded = functional.pad(maps, (0, 0, 2, right, 2, below))
        tiles = padded.unfold(1, TILE, OUTPUTS).unfold(2, TILE, OUTPUTS)
        step = max(1, TILES_AT_A_TIME // (batch * columns))
        parts = [self._filter(tiles[:, row : row + step]) for row in range(0, rows, step)]
        return torch.cat(parts, dim=1)[:, : height // 2, : width // 2]

    def _filter(self, tiles: Tensor) -> Tensor:
        """(batch, rows, columns, in, 8, 8) → (batch, 2 * rows, 2 * columns, out)."""
        batch, rows, columns, channels = tiles.shape[:4]
        gathered = tiles.permute(0, 1, 2, 4, 5, 3).reshape(-1, TILE**2, channels)
        coordinates = torch.matmul(self.into, gathered).transpose(0, 1)
        products = torch.bmm(coordinates, self.weight)
        outputs = self.back @ products.view(TILE**2, -1)

        pooled = maximum_of_four(outputs.view(4, -1).unbind(0))
        pooled = functional.relu_(pooled.view(-1, len(self.bias)).add_(self.bias))
        cells = pooled.view(2, 2, batch, rows, columns, -1).permute(2, 3, 0, 4, 1, 5)
        return cells.reshape(batch, 2 * rows, 2 * columns, -1)


def maximum_of_four(values: tuple[Tensor, ...]) -> Tensor:
    """The 2x2 max-pool once its four places lie apart: several times faster than ``amax``."""
    first, second, third, fourth = values
    return torch.maximum(torch.maximum(first, second), torch.maximum(third, fourth))


def minimal_filtering() -> tuple[Tensor, Tensor, Tensor]:
    """Matrices of F(4, 5) by the Toom-Cook construction (Lavin and Gray, CVPR 2016, Sec. 5).

    For a signal d of 8 values and a kernel g of 5, ``outputs @ ((kernel @ g) * (tile @ d))`` is
    their correlation at 4 places.

    Returns:
        outputs (4, 8), kernel (8, 5) and tile (8, 8), float64.
    """
    points = torch.tensor(POINTS, dtype=torch.float64)

    def evaluate(degree: int) -> Tensor:
        powers = torch.stack([points**power for power in range(degree)], dim=1)
        infinity = torch.eye(degree, dtype=torch.float64)[-1:]
        return torch.cat([powers, infinity])

    outputs, kernel = evaluate(OUTPUTS).T, evaluate(KERNEL)
    tile = torch.linalg.inv(evaluate(TILE)).T
    # Equal row sums keep the magnitudes of both operands, and so the rounding errors, alike.
    balance = kernel.abs().sum(dim=1, keepdim=True)
    return outputs, kernel / balance, tile * balance
