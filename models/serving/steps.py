"""The steps of minimal filtering, from strips of maps to their pooled outputs."""

import torch
from torch import Tensor

from models.serving.minimal_filtering import OUTPUTS, TILE
from models.serving.packed_product import PackedProduct, without_gaps


class Steps:
    """The steps for parts of so many strips, and where in memory each finds and leaves its values.

    Two pieces of memory serve by turns: presumably they are still in the caches when the next step
    writes to them. All views of them are made here, once for all parts of a block: every operation
    of torch gives the interpreter's lock away and takes it again, also one that only looks at
    memory otherwise, and other lanes and the event loop wait for the same lock.

    Args:
        strips: how many a part has.
        columns: tiles of a strip.
        channels: of the maps.
        into: B^T of F(4x4, 5x5), (8, 8).
        back: A^T, (4, 8), its rows in the order of the pool's cells.
        product: of the coordinates' channels.
    """

    def __init__(
        self,
        strips: int,
        columns: int,
        channels: int,
        into: Tensor,
        back: Tensor,
        product: PackedProduct,
    ) -> None:
        tiles, outs = strips * columns, product.outputs
        width = (columns + 1) * OUTPUTS * channels
        most = max(TILE * channels, OUTPUTS * outs) * TILE * tiles
        first, second = into.new_empty(2, max(most, TILE**2 * channels * product.rows_for(tiles)))
        self._into_strips = into.expand(strips, -1, -1)
        self._down = _shaped(first, strips, TILE, width)
        self._overlapping = first.as_strided(
            (strips, columns, TILE, TILE, channels),
            (TILE * width, OUTPUTS * channels, channels, width, 1),
        )
        self._apart = _shaped(second, strips, columns, TILE, TILE, channels)

        self._into_tiles = into.expand(tiles, -1, -1)
        self._tiles = _shaped(second, tiles, TILE, TILE * channels)
        self._across = _shaped(first, tiles, TILE, TILE * channels)

        self._product = product
        self._coordinates = product.view(first, tiles)
        self._shape_of_products = (tiles, TILE, TILE * outs)

        self._back_tiles = back.expand(tiles, -1, -1)
        self._back_across = _shaped(first, tiles, OUTPUTS, TILE * outs)
        self._back_places = back.expand(tiles * OUTPUTS, -1, -1)
        self._places = _shaped(first, tiles * OUTPUTS, TILE, outs)
        self._back_down = _shaped(second, tiles * OUTPUTS, OUTPUTS, outs)

        # Place across, cell across, place down, cell down: the places of a pool's cell lie apart.
        outputs = _shaped(second, strips, columns, 2, 2, 2, 2, outs)
        self._left, self._right = outputs.unbind(2)
        self._of_both = _shaped(first, strips, columns, 2, 2, 2, outs)
        self._upper, self._lower = self._of_both.unbind(3)

    def take(self, strips: Tensor, pooled: Tensor) -> None:
        """Filter and pool. Two maxima of two values take several times less time than an ``amax``.

        Args:
            strips: (strips, 8, width * in), width = 4 * columns + 4.
            pooled: where the maxima go, (strips, columns, cell across, cell down, out).
        """
        torch.bmm(self._into_strips, strips, out=self._down)
        self._apart.copy_(self._overlapping)
        torch.bmm(self._into_tiles, self._tiles, out=self._across)
        products = self._product.of(self._coordinates, self._shape_of_products)
        torch.bmm(self._back_tiles, products, out=self._back_across)
        torch.bmm(self._back_places, self._places, out=self._back_down)
        torch.maximum(self._left, self._right, out=self._of_both)
        torch.maximum(self._upper, self._lower, out=pooled)


def _shaped(memory: Tensor, *shape: int) -> Tensor:
    """The beginning of the memory as a tensor of that shape; one operation."""
    return memory.as_strided(shape, without_gaps(shape))
