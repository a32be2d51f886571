"""Many matrix products with constant right sides, which are laid out for the processor once."""

from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional


class PackedProduct(nn.Module):
    """``out[:, i] = a[:, i] @ weight[i]`` for every i, with at most ``rows`` rows at a time.

    ``torch.bmm`` copies its right side into blocks on every call, which for a few rows costs as
    much as the product. A 1x1 convolution with one group for each i is the same sum, and oneDNN
    takes its weights in blocks that were made once. Which blocks it wants depends on the number of
    rows, and others would be copied on every call: so a call gets ``rows`` of them, or a half or a
    quarter as many if those want the same blocks, some of zeros if need be. Where torch has no
    oneDNN, it is ``torch.bmm``. (``torch.mkldnn_convolution`` would copy the blocks again on every
    call; the functions used here are those that torch's own compiler calls.)

    Args:
        weight: (products, in, out) float32.
        rows: the most rows of a call.
        packed: whether to use oneDNN.
    """

    weight: Tensor

    def __init__(self, weight: Tensor, rows: int, *, packed: bool | None = None) -> None:
        super().__init__()
        self.rows = rows
        self.groups, self.inputs, self.outputs = weight.shape
        if packed is None:
            packed = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
        self.packed = packed
        # Not persistent: an opaque tensor cannot be saved. As a buffer it counts among the bytes.
        blocks = self._blocks(weight, rows) if packed else weight
        self.register_buffer("weight", blocks, persistent=False)
        fewer = [n for n in (rows // 4, rows // 2) if packed and n > 0]
        same = [n for n in fewer if same_layout(self._blocks(weight, n), blocks)]
        self._rows_of_a_call = [*same, rows]

    def rows_for(self, n: int) -> int:
        """How many rows a call with ``n`` of them multiplies.

        Raises:
            ValueError: n is larger than ``rows``.
        """
        if n > self.rows:
            raise ValueError(f"{n} rows are more than the {self.rows} that were planned for")
        return next(rows for rows in self._rows_of_a_call if rows >= n) if self.packed else n

    def forward(self, a: Tensor) -> Tensor:
        """(n, products, in) float32 → (n, products, out).

        Raises:
            ValueError: n is larger than ``rows``.
        """
        n = len(a)
        full = functional.pad(a, (0, 0, 0, 0, 0, self.rows_for(n) - n))
        return self.of(self.view(full.flatten(), n), (n, self.groups, self.outputs))

    def view(self, memory: Tensor, n: int) -> Tensor:
        """Look at ``n`` rows, one after the other in memory, in the way that :meth:`of` takes them.

        Args:
            memory: as many values as ``rows_for(n)`` rows have; what lies in those beyond n
                comes into no product of the others.
        """
        rows = self.rows_for(n)
        values = memory[: rows * self.groups * self.inputs]
        if self.packed:  # a row is a pixel whose channels are the products' inputs
            return values.view(1, 1, rows, -1).permute(0, 3, 1, 2)
        return values.view(rows, self.groups, self.inputs).transpose(0, 1)

    def of(self, a: Tensor, shape: tuple[int, ...]) -> Tensor:
        """The products of such a view, those of one row after those of another, in this shape."""
        if not self.packed:
            return torch.bmm(a, self.weight).transpose(0, 1).reshape(shape)
        out = torch.ops.mkldnn._convolution_pointwise(  # noqa: SLF001
            a, self.weight, None, [0, 0], [1, 1], [1, 1], self.groups, "none", [], ""
        )
        out = out.contiguous(memory_format=torch.channels_last)  # which it is: nothing is copied
        products: Tensor = out.as_strided(shape, without_gaps(shape))
        return products

    def _blocks(self, weight: Tensor, rows: int) -> Tensor:
        kernels = weight.transpose(1, 2).reshape(-1, self.inputs, 1, 1).contiguous()
        image = [1, self.groups * self.inputs, 1, rows]
        blocks: Tensor = torch.ops.mkldnn._reorder_convolution_weight(  # noqa: SLF001
            kernels, [0, 0], [1, 1], [1, 1], self.groups, image
        )
        return blocks


def without_gaps(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Strides of a tensor of that shape whose values lie one after the other."""
    return tuple(prod(shape[place + 1 :]) for place in range(len(shape)))


def same_layout(blocks: Tensor, others: Tensor) -> bool:
    """Whether oneDNN describes both of its tensors with the same bytes."""
    describe = torch.ops.mkldnn._get_mkldnn_serialized_md  # noqa: SLF001
    return torch.equal(describe(blocks), describe(others))
