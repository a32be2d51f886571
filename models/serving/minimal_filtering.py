"""The constant matrices of minimal filtering F(4, 5)."""

from typing import Final

import torch
from torch import Tensor

KERNEL: Final = 5
OUTPUTS: Final = 4
"""Outputs of a tile in each direction; 6 would save little more and lose a digit of precision."""
TILE: Final = OUTPUTS + KERNEL - 1
POINTS: Final = (0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5)
"""Where the polynomials are evaluated, besides infinity: powers of two round exactly."""


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
