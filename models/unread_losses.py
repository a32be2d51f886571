"""The losses of a training that nobody has read yet.

To read a number from a GPU is to wait for it (`models/device_reads.py`). So its losses are read
some iterations late and all at once; each is still looked at, and the first that is not finite is
told by its own iteration.
"""

import math
from typing import Final

import torch
from torch import Tensor

READ_EVERY: Final = 50
"""Iterations, on a GPU: what a diverged training computes in vain, at most."""


class UnreadLosses:
    """Losses with their iterations, in their order.

    Args:
        every: how many may wait to be read.
    """

    def __init__(self, every: int) -> None:
        self._every = every
        self._waiting: list[tuple[int, Tensor]] = []

    def add(self, iteration: int, loss: Tensor) -> None:
        """The loss of an iteration, a scalar on any device."""
        self._waiting.append((iteration, loss.detach()))

    @property
    def due(self) -> bool:
        """Whether it is time to read them."""
        return len(self._waiting) >= self._every

    def first_bad(self) -> tuple[int, float] | None:
        """Read all; the first that is not finite, with its iteration. Those that are finite are
        forgotten, that one is not: what came of it is not to be saved later either."""
        if not self._waiting:
            return None
        values = torch.stack([loss for _, loss in self._waiting]).tolist()
        for (iteration, loss), value in zip(self._waiting, values, strict=True):
            if not math.isfinite(value):
                self._waiting = [(iteration, loss)]
                return iteration, value
        self._waiting.clear()
        return None

    def forget(self) -> None:
        """The training goes on from another state."""
        self._waiting.clear()
