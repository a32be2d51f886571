"""What Square Attack tries (Andriushchenko et al., ECCV 2020, Alg. 2 for L∞ and Alg. 3 for L2).

A clip is an image here, (time, bands): log-mels have 64 bands, sound has one. The paper's vertical
stripes are single steps of time. Where a square has no room in one direction, it becomes a
rectangle of the same area; in sound it is a segment.

In sound a window carries a tone of a random pitch and phase, where the paper has a constant. A
constant shifts the level of a segment: a front end whose lowest band begins at 20 Hz hears nothing
of it but the ends.
"""

import math
from dataclasses import dataclass
from typing import Final, Protocol

import torch
from torch import Tensor

from models.rng import Rng
from models.threats import L2, Domain, Norm, vector_norm

TILES: Final = 5
"""Of the start in L2, along the shorter side of the image."""


class Proposals(Protocol):
    """Changes of images (batch, time, bands) that a query may try."""

    def start(self, images: Tensor, radius: Tensor, rng: Rng) -> Tensor:
        """The first change, of the size of ``images``."""

    def next(self, change: Tensor, radius: Tensor, share: float, rng: Rng) -> Tensor:
        """Another change, different in a window.

        Args:
            change: the best so far, (batch, time, bands); not modified.
            radius: (batch,).
            share: of the image, in the window.
        """


class StripesAndSquares:
    """L∞: every value moves by the radius, up or down."""

    def __init__(self, *, tones: bool) -> None:
        self._tones = tones

    def start(self, images: Tensor, radius: Tensor, rng: Rng) -> Tensor:
        """Stripes: each step of time as a whole."""
        signs = rng.signs((images.shape[1], 1)).to(images)
        return (radius[:, None, None] * signs).expand_as(images)

    def next(self, change: Tensor, radius: Tensor, share: float, rng: Rng) -> Tensor:
        """A window that is all up or all down; in sound a square wave."""
        window = Window.draw(change, share, rng)
        filling = rng.signs((1, 1)).to(change)
        if self._tones:
            filling = torch.where(tone(window.rows, rng).to(change) < 0, -filling, filling)
        each = radius[:, None, None]
        new, old = (each * filling).expand(-1, window.rows, window.columns), window.of(change)
        # What stands there already would be a wasted query.
        same = ((new - old).abs() <= 1e-3 * each).flatten(1).all(dim=1)
        return window.put(change, torch.where(same[:, None, None], -new, new))


class Bumps:
    """L2: a bump grows in one window at the cost of another."""

    def __init__(self, *, tones: bool) -> None:
        self._tones = tones

    def start(self, images: Tensor, radius: Tensor, rng: Rng) -> Tensor:
        """A grid of bumps; in sound white noise."""
        if self._tones:
            return radius[:, None, None] * unit(rng.normal(images.shape[1:]).to(images))
        change = torch.zeros_like(images)
        side = max(1, min(images.shape[1:]) // TILES)
        for top in range(0, images.shape[1] - side + 1, side):
            for left in range(0, images.shape[2] - side + 1, side):
                bump = rng.signs((1, 1)) * bumps(side, side, rng)
                change[:, top : top + side, left : left + side] = bump.to(change)
        return radius[:, None, None] * unit(change)

    def next(self, change: Tensor, radius: Tensor, share: float, rng: Rng) -> Tensor:
        """The first window takes what is left of the budget, and all that the second has."""
        first = Window.draw(change, share, rng, least=3)
        second = Window.draw(change, share, rng, least=3)
        new = bumps(first.rows, first.columns, rng).to(change)
        if self._tones:
            new = unit(new * tone(first.rows, rng).to(change))
        new = rng.signs((1, 1)).to(change) * new + unit(first.of(change))
        outside = first.put(second.put(change, 0.0), 0.0)
        budget = (radius.square() - vector_norm(outside).square()).clamp_min(0).sqrt()
        return first.put(outside, budget[:, None, None] * unit(new))


PROPOSALS: Final[dict[tuple[Domain, Norm], Proposals]] = {
    ("features", "linf"): StripesAndSquares(tones=False),
    ("features", "l2"): Bumps(tones=False),
    ("waveform", "linf"): StripesAndSquares(tones=True),
    ("waveform", "l2"): Bumps(tones=True),
}


def as_images(x: Tensor) -> Tensor:
    """(batch, ...) → (batch, time, bands): of sound, (batch, samples), one band."""
    return x[:, :, None] if x.ndim == 2 else x.reshape(len(x), -1, x.shape[-1])


@dataclass(frozen=True)
class Window:
    """A rectangle of the same size in every image, at another place in each.

    Attributes:
        top, left: its corner, (batch,) int64.
        rows, columns: its size.
    """

    top: Tensor
    left: Tensor
    rows: int
    columns: int

    @classmethod
    def draw(cls, images: Tensor, share: float, rng: Rng, least: int = 1) -> "Window":
        """One of this share of the images, its sides at least ``least`` where they are so long."""
        height, width = images.shape[1:]
        rows, columns = window_size(share, height, width, least)
        top, left = rng.integers((), height - rows + 1), rng.integers((), width - columns + 1)
        return cls(top.to(images.device), left.to(images.device), rows, columns)

    def of(self, images: Tensor) -> Tensor:
        """What stands in it, (batch, rows, columns)."""
        return images[self._index()]

    def put(self, images: Tensor, values: Tensor | float) -> Tensor:
        """A copy of the images with these values in it."""
        changed = images.clone()
        changed[self._index()] = torch.as_tensor(values, dtype=images.dtype, device=images.device)
        return changed

    def _index(self) -> tuple[Tensor, Tensor, Tensor]:
        device = self.top.device
        rows = self.top[:, None] + torch.arange(self.rows, device=device)
        columns = self.left[:, None] + torch.arange(self.columns, device=device)
        every = torch.arange(len(self.top), device=device)
        return every[:, None, None], rows[:, :, None], columns[:, None, :]


def window_size(share: float, height: int, width: int, least: int) -> tuple[int, int]:
    """Rows and columns of a window of this share: a square, or as much of one as there is room."""
    area, short = share * height * width, min(height, width)
    side = max(least, round(math.sqrt(area)))
    if side <= short:
        return side, side
    long = min(max(height, width), max(least, round(area / short)))
    return (long, short) if height >= width else (short, long)


def tone(samples: int, rng: Rng) -> Tensor:
    """A sine of any pitch up to half the sample rate, and any phase: (clips, samples, 1)."""
    pitch, phase = rng.uniform((1, 1), 0.0, 0.5), rng.uniform((1, 1), 0.0, 1.0)
    turns = pitch * torch.arange(samples)[:, None] + phase
    return torch.sin(2 * math.pi * turns)


def bumps(rows: int, columns: int, rng: Rng) -> Tensor:
    """η of the paper: two bumps of opposite sign, side by side or one after the other.

    Returns:
        (clips, rows, columns), each of norm 1.
    """
    later = rng.integers((1, 1), 2) == 1
    if min(rows, columns) > 1:
        return torch.where(later, _pair(rows, columns), _pair(columns, rows).T)
    one = _pair(rows, columns) if rows >= columns else _pair(columns, rows).T
    return one.expand(len(rng), rows, columns)


def _pair(rows: int, columns: int) -> Tensor:
    if rows == 1:
        return torch.ones(1, columns) / math.sqrt(columns)
    half = rows // 2
    pair = torch.cat([_bump(half, columns), -_bump(rows - half, columns)])
    return unit(pair[None])[0]


def _bump(rows: int, columns: int) -> Tensor:
    """Σ 1 / m² over m > d, d the larger distance, down or across, from the middle (Eq. 2 there)."""
    down = (torch.arange(rows) - rows // 2).abs()[:, None]
    across = (torch.arange(columns) - columns // 2).abs()[None]
    inverse_squares = 1 / torch.arange(1, max(rows, columns) // 2 + 2).square()
    sums = inverse_squares.flip(0).cumsum(0).flip(0)
    return unit(sums[torch.maximum(down, across)][None])[0]


def unit(change: Tensor) -> Tensor:
    """Each image divided by its norm; 0 where that is 0."""
    return L2().steepest(change)
