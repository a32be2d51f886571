"""How sure a figure is: Wilson's interval for shares, a bootstrap over speakers for all else.

Clips of one speaker resemble each other, so a bootstrap draws speakers, each with all of its clips
(Davison & Hinkley, "Bootstrap Methods and their Application", 1997, Sec. 3.8). What is drawn is
sums: every figure is a function of numbers that are added up over clips, so a draw is a row of
multinomial counts times the sums of the speakers, and all draws are one product of matrices.

Of few speakers the percentiles of a bootstrap are too narrow: it spreads by √((S − 1)/S) too
little, and a normal's tails are thinner than Student's. So percentiles are taken at the level
Φ(√(S/(S − 1)) · t), with t the quantile of Student's distribution with S − 1 degrees of freedom
(Hesterberg, "What Teachers Should Know About the Bootstrap", The American Statistician 2015, Sec.
5.3, "expanded percentile"). They are corrected for a bias of the median (Efron, "Nonparametric
standard errors and confidence intervals", 1981, "BC"), without which that of a calibration error,
which a draw can only make larger, might not hold the error itself.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray

CONFIDENCE: Final = 0.95
NORMAL: Final = 1.959963984540054
"""A normal's quantile at 97.5 %."""
DRAWS: Final = 2_000
FEW_SPEAKERS: Final = 5
"""With fewer, nothing is said of other speakers: clips are drawn, and the method says so."""
MOST_UNITS: Final = 1_000
"""That are drawn apart. Of more clips or speakers, random groups of equal size are: as far as the
spread goes that is the same, and the counts of all draws take 16 MB."""
ALIKE: Final = 100
"""Kinds of units that are counted in place of the units."""
DIGITS: Final = 6
"""Of an interval from draws: more than they are worth, and the same on every machine."""

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Interval = tuple[float, float]

Method = Literal[
    "wilson",
    "wilson_few_speakers",
    "bootstrap_speakers",
    "bootstrap_clips",
    "bootstrap_clips_few_speakers",
    "normal",
    "normal_few_speakers",
    "newcombe",
    "bonferroni",
]

Statistic = Callable[[Floats], Floats]
"""A figure of sums: (..., m) → (...); NaN where there is nothing to take it of."""


@dataclass(frozen=True)
class Units:
    """What a bootstrap draws.

    Attributes:
        of: the unit of each clip, (clips,).
        count: how many there are.
        method: "bootstrap_speakers", or clips and why.
    """

    of: Ints
    count: int
    method: Method

    @classmethod
    def speakers(cls, speaker: Ints) -> "Units":
        """Speakers; clips where a speaker is unknown, or there are fewer than `FEW_SPEAKERS`.

        Args:
            speaker: of each clip, (clips,); -1 if it is not known.
        """
        found = n_speakers(speaker)
        if found is None:
            return cls.clips(len(speaker))
        if found < FEW_SPEAKERS:
            return cls.clips(len(speaker), "bootstrap_clips_few_speakers")
        each = np.unique(speaker, return_inverse=True)[1].astype(np.int64)
        return cls(*_grouped(each, found), "bootstrap_speakers")

    @classmethod
    def clips(cls, n: int, method: Method = "bootstrap_clips") -> "Units":
        """Each clip by itself."""
        return cls(*_grouped(np.arange(n), n), method)

    def cells(self, cell: Ints, count: int) -> Floats:
        """How many clips of each unit are in each cell, (units, ``count``).

        Args:
            cell: of each clip, (clips,), each in [0, ``count``).
        """
        flat = np.bincount(self.of * count + cell, minlength=self.count * count)
        return flat.reshape(self.count, count).astype(np.float64)

    def sums(self, values: Floats) -> Floats:
        """Sums over the clips of each unit, (clips, m) → (units, m)."""
        each = [np.bincount(self.of, weights=one, minlength=self.count) for one in values.T]
        return np.stack(each, axis=1)


def _grouped(each: Ints, count: int) -> tuple[Ints, int]:
    """Units, in random groups if there are too many."""
    if count <= MOST_UNITS:
        return each, count
    group = np.random.default_rng(count).permutation(count) % MOST_UNITS
    return group[each], MOST_UNITS


def n_speakers(speaker: Ints) -> int | None:
    """How many there are; None if that of some clip is not known."""
    if bool((speaker < 0).any()):
        return None
    return len(np.unique(speaker))


@lru_cache(maxsize=8)
def weights(units: int) -> Floats:
    """How often each unit is in each draw, (draws, units). The same for all figures of an audit."""
    draws = np.random.default_rng(units)
    each = np.full(units, 1 / units)
    return draws.multinomial(units, each, size=DRAWS).astype(np.float64)


def drawn(sums: Floats, statistic: Statistic) -> Floats:
    """The figure in each draw, (draws,); those left out in which there is nothing to take it of.

    Args:
        sums: of each unit, (units, m).
    """
    figures = statistic(_totals(sums))
    return figures[np.isfinite(figures)]


def _totals(sums: Floats) -> Floats:
    """The sums of each draw, (draws, m). Of many units that are alike, such as clips, of which one
    is right or wrong on one of a few classes, it draws how many there are of each kind."""
    units = len(sums)
    if units > ALIKE:
        kinds, counts = np.unique(sums, axis=0, return_counts=True)
        if len(kinds) <= ALIKE:
            draws = np.random.default_rng(units).multinomial(units, counts / units, size=DRAWS)
            return draws.astype(np.float64) @ kinds
    return weights(units) @ sums


def bootstrap(sums: Floats, statistic: Statistic) -> Interval | None:
    """The interval of a figure at 95 %, from draws of units.

    Args:
        sums: of each unit, (units, m).

    Returns:
        None if all draws give the same number: then they say nothing of how sure it is.
    """
    if len(sums) < 2:
        return None
    return percentiles(drawn(sums, statistic), float(statistic(sums.sum(axis=0))), len(sums))


def percentiles(figures: Floats, value: float, units: int) -> Interval | None:
    """The interval at 95 % of a figure that was drawn already.

    Args:
        figures: in each draw, (draws,).
        value: of all units.
        units: how many were drawn, at least two.

    Returns:
        None if all draws give the same number.
    """
    if all_the_same(figures):
        return None
    low, high = np.quantile(figures, _levels(figures, value, units)).tolist()
    return round(min(low, value), DIGITS), round(max(high, value), DIGITS)


def all_the_same(figures: Floats) -> bool:
    """Whether draws say nothing of how sure a figure is."""
    return not len(figures) or bool(np.ptp(figures) < 10**-DIGITS)


def _levels(figures: Floats, value: float, units: int) -> tuple[float, float]:
    """Of the percentiles: Student's, and moved by the bias of the median."""
    from scipy.special import ndtr, ndtri  # scipy.stats takes a second to import

    tail = student(units - 1, 1 - CONFIDENCE) * math.sqrt(units / (units - 1))
    equal = np.isclose(figures, value, rtol=0, atol=10**-DIGITS)
    below = float((figures < value)[~equal].sum() + equal.sum() / 2) / len(figures)
    edge = 0.5 / len(figures)
    bias = float(ndtri(min(max(below, edge), 1 - edge)))
    return float(ndtr(2 * bias - tail)), float(ndtr(2 * bias + tail))


@lru_cache(maxsize=1024)
def student(freedom: int, both_tails: float) -> float:
    """The quantile of Student's distribution beyond which ``both_tails`` of it lie."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, 1 - both_tails / 2))


def spread(sums: Floats, statistic: Statistic) -> float:
    """The standard error of a figure, from draws of units; 0 if all draws give the same number."""
    return 0.0 if len(sums) < 2 else standard_error(drawn(sums, statistic), len(sums))


def standard_error(figures: Floats, units: int) -> float:
    """The same of a figure that was drawn already, with the factor that a bootstrap of few units
    lacks.

    Args:
        figures: in each draw, (draws,).
        units: how many were drawn, at least two.
    """
    if len(figures) < 2:
        return 0.0
    return float(figures.std(ddof=1)) * math.sqrt(units / (units - 1))


def wilson(counted: int, n: int) -> Interval | None:
    """Wilson's score interval of a share (Wilson, JASA 1927; Brown et al., Stat. Sci. 2001, Eq. 4).

    Args:
        counted: of ``n``.

    Returns:
        The interval at 95 %; None for n = 0.
    """
    if not n:
        return None
    share, square = counted / n, NORMAL**2 / n
    middle = (share + square / 2) / (1 + square)
    half = math.sqrt(share * (1 - share) * square + square**2 / 4) / (1 + square)
    # At the ends the formula gives them up to a rounding.
    low = 0.0 if counted == 0 else max(0.0, middle - half)
    return low, 1.0 if counted == n else min(1.0, middle + half)


def newcombe(first: int, second: int, n: int) -> Interval | None:
    """The interval of a difference of two shares of ``n`` clips each, from Wilson's of both
    (Newcombe, Statistics in Medicine 1998, p. 873, method 10).

    It is for differences that are the same in all draws, as where an attack breaks every clip and
    noise breaks none.
    """
    a, b = wilson(first, n), wilson(second, n)
    if a is None or b is None:
        return None
    p, q = first / n, second / n
    low = p - q - math.hypot(p - a[0], b[1] - q)
    high = p - q + math.hypot(a[1] - p, q - b[0])
    return max(-1.0, low), min(1.0, high)


def wilson_near(share: float, n: int) -> Interval | None:
    """Wilson's interval of the count that is the nearest to a share which is none, such as a UAR,
    widened to hold the share.

    Args:
        share: in [0, 1]; NaN where there is none.
        n: clips that it is taken of.

    Returns:
        The interval at 95 %; None for n = 0.
    """
    found = None if math.isnan(share) else wilson(round(share * n), n)
    return None if found is None else (min(found[0], share), max(found[1], share))


def newcombe_near(first: float, second: float, n: int) -> Interval | None:
    """The same of the difference of two such shares: Newcombe's."""
    if math.isnan(first) or math.isnan(second):
        return None
    found, value = newcombe(round(first * n), round(second * n), n), first - second
    return None if found is None else (min(found[0], value), max(found[1], value))


def normal(values: Floats) -> Interval | None:
    """The interval of a mean by the central limit theorem; None for fewer than two values."""
    n = len(values)
    if n < 2:
        return None
    mean, deviation = float(values.mean()), float(values.std(ddof=1))
    half = NORMAL * deviation / math.sqrt(n)
    return mean - half, mean + half


def mcnemar(only_first: int, only_second: int) -> float:
    """The two-sided p that clips on which two differ are split evenly between them (McNemar,
    Psychometrika 1947, with the exact binomial). It takes clips for independent.

    Args:
        only_first: clips of which the first alone is true.
        only_second: those of which the second alone is.
    """
    from scipy.special import bdtr

    n = only_first + only_second
    return min(1.0, 2 * float(bdtr(min(only_first, only_second), n, 0.5)))


def recalls(counts: Floats) -> tuple[Floats, Bools]:
    """Recall of each class, and which classes there are: (..., classes, 2) → (..., classes) each.

    Args:
        counts: clips of each class that the model is wrong on, and right on.
    """
    total = counts.sum(axis=-1)
    there = total > 0
    return np.where(there, counts[..., 1] / np.where(there, total, 1.0), 0.0), there


def mean_recall(counts: Floats) -> Floats:
    """Over the classes that there are, (..., classes, 2) → (...); NaN without any."""
    each, there = recalls(counts)
    n = there.sum(axis=-1)
    return np.where(n > 0, each.sum(axis=-1) / np.maximum(n, 1), np.nan)


def ratio(part: Any, whole: Any) -> Floats:
    """``part / whole``; NaN where that is 0."""
    there = np.asarray(whole) > 0
    return np.where(there, part / np.where(there, whole, 1.0), np.nan)
