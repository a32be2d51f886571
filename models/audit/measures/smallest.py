"""The smallest strengths that break clips, together."""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from pydantic import Field

from models.audit.figure import Figure, Figures, share
from models.audit.intervals import Floats, Ints, Units, bootstrap, n_speakers
from models.audit.measures.measure import BREAKDOWNS, Breakdown

STEPS: Final = 20
"""Of the survival curve."""
RANKS: Final = 500
"""In which strengths are sorted for the interval of a quantile."""


class Survival(Figures):
    """A point of the survival curve."""

    strength: float
    surviving: Figure = Field(description="Share of the clips that no strength up to this broke.")


class Minimum(Figures):
    """The smallest strengths at which an attack broke the clips."""

    attack: int
    right_before: int
    unbroken: int = Field(description="Of those, clips that the strongest did not break.")
    median: float | None = Field(description="Null if more than half are unbroken.")
    quartiles: tuple[float | None, float | None] = Field(
        description="A quarter and three quarters of the clips are broken there."
    )
    figures: dict[str, Figure] = Field(
        default_factory=dict,
        description="Median and quartiles (`quarter`, `median`, `three_quarters`) with their"
        " intervals; no interval where an end of it lies beyond the strongest strength.",
    )
    survival: list[Survival] = Field(
        default_factory=list,
        description="Share of the clips that stand, from the weakest strength on.",
    )


@BREAKDOWNS.register("smallest_strength")
class SmallestStrengths(Breakdown):
    """Median, quartiles and survival curve."""

    name = "smallest_strength"
    shown_in = "minimum[]"
    definition = (
        "Over the clips that were right before, the strength at which the attack first breaks each,"
        " found by bisection: median, quartiles and the share that still stands at a strength."
        " Clips that the strongest does not break stand beyond all others."
    )
    formula = "S(s) = P(smallest strength > s | ŷ = y); quartiles of the smallest strength"
    source = (
        "Median smallest perturbation: Moosavi-Dezfooli et al., DeepFool, CVPR 2016, Eq. 2;"
        " Brendel et al., ICLR 2018. Quantiles: Hyndman & Fan 1996, type 7."
    )


def minimum(
    attack: int,
    found: Sequence[float | None],
    *,
    smaller_is_harder: bool,
    speaker: Ints | None = None,
) -> Minimum:
    """Of the clips that were right before.

    Args:
        found: smallest strengths; None for a clip that is not broken.
        smaller_is_harder: whether a smaller strength allows more, as with an SNR.
        speaker: of each clip; -1 if it is not known.
    """
    sign = -1.0 if smaller_is_harder else 1.0
    each = np.array([math.inf if one is None else sign * one for one in found])
    speakers = np.full(len(each), -1) if speaker is None else speaker
    figures = {
        name: _quantile_figure(each, share_, speakers, sign)
        for name, share_ in (("quarter", 0.25), ("median", 0.5), ("three_quarters", 0.75))
    }
    return Minimum(
        attack=attack,
        right_before=len(each),
        unbroken=int(np.isinf(each).sum()),
        median=figures["median"].value,
        quartiles=(figures["quarter"].value, figures["three_quarters"].value),
        figures=figures,
        survival=_survival(each, speakers, sign),
    )


def _quantile_figure(each: Floats, wanted: float, speaker: Ints, sign: float) -> Figure:
    units = Units.speakers(speaker)
    value = _signed(_quantile(np.sort(each), wanted), sign)
    interval = _interval(each, wanted, units, sign)
    if interval is not None and value is not None:  # which lies between two of the strengths
        interval = min(interval[0], value), max(interval[1], value)
    return Figure(
        value=value,
        interval=interval,
        n=len(each),
        n_speakers=n_speakers(speaker),
        method=units.method,
    )


def _quantile(ordered: Floats, wanted: float) -> float:
    """Interpolated between neighbours; infinite beyond the last clip that is broken."""
    if not len(ordered):
        return math.inf
    place = wanted * (len(ordered) - 1)
    low, high = float(ordered[math.floor(place)]), float(ordered[math.ceil(place)])
    if math.isinf(high):
        return math.inf
    return low + (high - low) * (place - math.floor(place))


def _interval(each: Floats, wanted: float, units: Units, sign: float) -> tuple[float, float] | None:
    """Draws of the rank at which the quantile lies: ranks can be beyond all strengths."""
    if not len(each):
        return None
    different = np.unique(each)
    picked = np.linspace(0, len(different) - 1, min(RANKS, len(different))).round().astype(int)
    strengths = different[picked]
    cells = units.cells(np.searchsorted(strengths, each), len(strengths))

    def rank(sums: Floats) -> Floats:
        upto = np.cumsum(sums, axis=-1)
        before: Floats = (upto < wanted * upto[..., -1:]).sum(axis=-1).astype(np.float64)
        return before

    found = bootstrap(cells, rank)
    if found is None:
        return None
    ends = (float(strengths[math.floor(found[0])]), float(strengths[math.ceil(found[1])]))
    if math.isinf(ends[1]):
        return None
    low, high = sorted(sign * end for end in ends)
    return low, high


def _survival(each: Floats, speaker: Ints, sign: float) -> list[Survival]:
    broken = np.unique(each[np.isfinite(each)])
    if not len(broken):
        return []
    picked = np.linspace(0, len(broken) - 1, min(STEPS + 1, len(broken))).round().astype(int)
    all_of_them = np.ones(len(each), dtype=np.bool_)
    return [
        Survival(strength=sign * strength, surviving=share(each > strength, all_of_them, speaker))
        for strength in broken[picked].tolist()
    ]


def _signed(value: float, sign: float) -> float | None:
    return None if math.isinf(value) else sign * value
