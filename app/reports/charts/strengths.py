"""Where strengths lie on an axis: the clips as they are at the left, then weaker to stronger.

An ε begins at 0, where the clips are as they are, and counts evenly; over more than a factor of 20,
or of an SNR, which is infinite there, the clips as they are stand apart at the left.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from app.reports.charts.canvas import width_of
from app.reports.words import compact

APART: Final = 34.0
"""Pixels between the clips as they are and the weakest strength."""
EVEN: Final = 20.0
"""Largest over smallest strength, up to which strengths count evenly."""


@dataclass(frozen=True)
class StrengthAxis:
    """An axis from ``left`` to ``right``.

    Attributes:
        low, high: the weakest and the strongest strength, as `_scaled` counts them.
        apart: whether the clips as they are stand apart.
    """

    left: float
    right: float
    low: float
    high: float
    apart: bool
    logarithmic: bool
    reversed: bool

    @classmethod
    def of(
        cls, strengths: Sequence[float], *, smaller_is_harder: bool, left: float, right: float
    ) -> "StrengthAxis":
        """For these strengths, at least one.

        Args:
            left, right: pixels, where it begins and ends.
        """
        positive = [one for one in strengths if one > 0]
        if smaller_is_harder:
            scaled = [-one for one in strengths]
            return cls._between(scaled, left, right, apart=True, logarithmic=False, reversed_=True)
        wide = bool(positive) and max(positive) > EVEN * min(positive)
        if wide and min(strengths) >= 0:
            scaled = [math.log10(one) for one in positive]
            return cls._between(scaled, left, right, apart=True, logarithmic=True, reversed_=False)
        scaled = [0.0, *strengths]
        return cls._between(scaled, left, right, apart=False, logarithmic=False, reversed_=False)

    @classmethod
    def _between(
        cls,
        scaled: Sequence[float],
        left: float,
        right: float,
        *,
        apart: bool,
        logarithmic: bool,
        reversed_: bool,
    ) -> "StrengthAxis":
        return cls(left, right, min(scaled), max(scaled), apart, logarithmic, reversed_)

    @property
    def clean(self) -> float:
        """Where the clips as they are stand, in pixels."""
        return self.left if self.apart else self._place(0.0)

    def at(self, strength: float) -> float:
        """Where a strength lies, in pixels."""
        if self.logarithmic:
            return self.left if strength <= 0 else self._place(math.log10(strength))
        return self._place(-strength if self.reversed else strength)

    def ticks(self, strengths: Sequence[float]) -> list[tuple[float, str]]:
        """Strengths that are written below the axis, with their places: those of ``strengths`` that
        have room, the strongest first."""
        found: list[tuple[float, str]] = [(self.clean, "clean")] if self.apart else []
        taken = [(self.clean - 18, self.clean + 18)] if self.apart else []
        for one in sorted({*strengths, *(() if self.apart else (0.0,))}, key=self.at, reverse=True):
            place, text = self.at(one), compact(one)
            half = width_of(text) / 2 + 3
            if all(place + half < low or place - half > high for low, high in taken):
                taken.append((place - half, place + half))
                found.append((place, text))
        return found

    def _place(self, scaled: float) -> float:
        start = self.left + (APART if self.apart else 0.0)
        if self.high == self.low:
            return (start + self.right) / 2 if self.apart else self.left
        return start + (scaled - self.low) / (self.high - self.low) * (self.right - start)
