"""Randomness of an attack that depends on the clip alone.

Each clip has a generator of its own, seeded by the audit's seed, the clip and what the numbers are
for. A resumed audit, another batch size, another order and another worker give the same draws; the
generators are those of the CPU, whatever device the network is on.
"""

import hashlib
from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor


class Rng:
    """Draws for a batch of clips, the same for a clip in whichever batch it is.

    Args:
        seed: of the audit.
        clips: their numbers in the audit, one for each row of a draw.
        purpose: what the draws are for, such as the attack's type.
    """

    def __init__(self, seed: int, clips: Sequence[int], purpose: str = "") -> None:
        self._seed = seed
        self._clips = list(clips)
        self._purpose = purpose

    @cached_property
    def _generators(self) -> list[torch.Generator]:
        """Made when the first number is drawn: an attack that draws none need not wait for them."""
        return [generator(self._seed, clip, self._purpose) for clip in self._clips]

    def __len__(self) -> int:
        return len(self._clips)

    def named(self, purpose: str) -> "Rng":
        """Fresh draws for the same clips that have nothing to do with these."""
        return Rng(
            self._seed, self._clips, f"{self._purpose}/{purpose}" if self._purpose else purpose
        )

    def subset(self, index: Tensor) -> "Rng":
        """The draws of some of the clips, (n,) int64, which go on where those clips' are."""
        some = Rng(self._seed, [], self._purpose)
        numbers = index.tolist()
        some._clips = [self._clips[number] for number in numbers]
        some._generators = [self._generators[number] for number in numbers]
        return some

    def uniform(self, shape: Sequence[int], low: float, high: float) -> Tensor:
        """(clips, *shape), float32, uniform in [low, high)."""
        drawn = [torch.rand(tuple(shape), generator=one) for one in self._generators]
        return low + (high - low) * torch.stack(drawn)

    def normal(self, shape: Sequence[int]) -> Tensor:
        """(clips, *shape), float32, standard normal."""
        return torch.stack([torch.randn(tuple(shape), generator=one) for one in self._generators])

    def signs(self, shape: Sequence[int]) -> Tensor:
        """(clips, *shape), float32, −1 or 1."""
        return 2.0 * self.integers(shape, 2).float() - 1.0

    def integers(self, shape: Sequence[int], end: int) -> Tensor:
        """(clips, *shape), int64, uniform from 0 to ``end`` − 1."""
        return torch.stack(
            [torch.randint(end, tuple(shape), generator=one) for one in self._generators]
        )


def generator(seed: int, clip: int, purpose: str) -> torch.Generator:
    """The draws of one clip; see :class:`Rng`."""
    return torch.Generator().manual_seed(_number(seed, clip, purpose))


def _number(seed: int, clip: int, purpose: str) -> int:
    text = f"{seed}/{clip}/{purpose}".encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=7).digest(), "little")
