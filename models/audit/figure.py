"""A figure: a number that says how sure it is, and what it is taken of."""

import math
from typing import Final

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from models.audit.intervals import (
    FEW_SPEAKERS,
    Bools,
    Floats,
    Interval,
    Ints,
    Method,
    Statistic,
    Units,
    bootstrap,
    n_speakers,
    normal,
    wilson,
)

METHODS: Final[dict[Method, str]] = {
    "wilson": "Wilson's score interval of a share. It takes clips for independent, which clips of"
    " one speaker are not: where speakers differ much it is too narrow.",
    "wilson_few_speakers": "The same with fewer than 5 speakers: it says nothing of other speakers,"
    " and is too narrow for them.",
    "bootstrap_speakers": "2,000 draws of as many speakers, each with all of its clips; percentiles"
    " at Student's levels, corrected for the bias of the median.",
    "bootstrap_clips": "The same with clips in place of speakers, because speakers are not known or"
    " the figure is of one speaker's clips: too narrow where clips of one speaker are alike.",
    "bootstrap_clips_few_speakers": "Draws of clips, because there are fewer than 5 speakers: it"
    " says nothing of other speakers, and is too narrow for them.",
    "normal": "Mean ± 1.96 standard errors over clips, because speakers are not known.",
    "normal_few_speakers": "The same with fewer than 5 speakers: it says nothing of other speakers,"
    " and is too narrow for them.",
    "newcombe": "Newcombe's interval of a difference, from Wilson's of both shares, where all draws"
    " of a bootstrap give the same number. It takes clips for independent.",
    "bonferroni": "Difference ± Student's quantile times its standard error over draws, at a level"
    " that holds for all pairs of groups together, for the two were picked for being far apart.",
}
"""How intervals are made, in words."""


class Figures(BaseModel):
    """Base of what a result is made of."""

    model_config = ConfigDict(extra="forbid")


class Figure(Figures):
    """A number that says how sure it is."""

    value: float | None = Field(
        description="Null where there is nothing to take it of.", examples=[0.4]
    )
    interval: tuple[float, float] | None = Field(
        description="95 %; null where there is none.", examples=[[0.1982, 0.6425]]
    )
    n: int = Field(description="Clips that it is taken of.", examples=[15])
    n_speakers: int | None = Field(
        default=None,
        description="Speakers of those clips; null where some are not known.",
        examples=[12],
    )
    method: Method = Field(
        description="Of the interval: "
        + " ".join(f"`{name}`: {text}" for name, text in METHODS.items())
    )


def share(counted: Bools, of: Bools, speaker: Ints) -> Figure:
    """A share of some clips, with Wilson's interval.

    Args:
        counted: which clips have the property, (clips,).
        of: which are counted at all, (clips,).
        speaker: of each, (clips,); -1 if it is not known.
    """
    n, part = int(of.sum()), int((counted & of).sum())
    speakers = n_speakers(speaker[of])
    few = n > 0 and speakers is not None and speakers < FEW_SPEAKERS
    return Figure(
        value=part / n if n else None,
        interval=wilson(part, n),
        n=n,
        n_speakers=speakers,
        method="wilson_few_speakers" if few else "wilson",
    )


def mean(values: Floats, speaker: Ints) -> Figure:
    """A mean over clips, (clips,): drawn by speakers, or by the central limit theorem."""
    units = Units.speakers(speaker)
    if units.method != "bootstrap_speakers":
        # Of clips, the limit of the draws; it takes no time, however many there are.
        few = units.method == "bootstrap_clips_few_speakers" and len(values) > 0
        return Figure(
            value=float(values.mean()) if len(values) else None,
            interval=normal(values),
            n=len(values),
            n_speakers=n_speakers(speaker),
            method="normal_few_speakers" if few else "normal",
        )
    sums = units.sums(np.stack([values, np.ones_like(values)], axis=1))
    found = of_sums(units, sums, lambda sums: sums[..., 0] / sums[..., 1], speaker)
    value = float(values.mean())
    return found.model_copy(update={"value": value, "interval": found.interval or (value, value)})


def of_sums(
    units: Units,
    sums: Floats,
    statistic: Statistic,
    speaker: Ints,
    same: tuple[Interval | None, Method] | None = None,
) -> Figure:
    """A function of sums over clips, with the interval that draws give.

    Args:
        units: what is drawn.
        sums: of each unit, (units, m).
        speaker: of each clip that it is taken of, (clips,).
        same: the interval, and its name, where all draws give the same number.
    """
    n = len(speaker)
    value = float(statistic(sums.sum(axis=0))) if n else math.nan
    interval = bootstrap(sums, statistic) if n else None
    method = units.method
    if interval is None and same is not None:
        interval, method = same
    return Figure(
        value=None if math.isnan(value) else value,
        interval=None if math.isnan(value) else interval,
        n=n,
        n_speakers=n_speakers(speaker),
        method=method,
    )
