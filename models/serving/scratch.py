"""Memory that the steps of a block write to by turns."""

import torch
from torch import Tensor


class Scratch:
    """Two pieces of memory. A result stays what it is until the next but one is made.

    Against a new tensor for each step, they took 4 to 7 % off CNN-4 on a CPU: presumably they are
    still in its caches when the next step writes to them.

    Args:
        values: of the largest result.
        like: a tensor of the type and on the device of the results.
    """

    def __init__(self, values: int, like: Tensor) -> None:
        self._free, self._taken = like.new_empty(values), like.new_empty(values)

    def product(self, matrix: Tensor, x: Tensor) -> Tensor:
        """``matrix @ x[i]`` for every i: (out, in) and (n, in, columns) → (n, out, columns)."""
        result = self._next(len(x), len(matrix), x.shape[2])
        return torch.bmm(matrix.expand(len(x), -1, -1), x, out=result)

    def contiguous(self, x: Tensor) -> Tensor:
        """A copy without gaps, of the same shape."""
        return self._next(*x.shape).copy_(x)

    def _next(self, *shape: int) -> Tensor:
        self._free, self._taken = self._taken, self._free
        values = torch.Size(shape).numel()
        return self._taken[:values].view(shape)
