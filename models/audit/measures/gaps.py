"""Whether an attack, or the model itself, does worse on some clips than on others."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

import numpy as np
from pydantic import Field

from models.audit.figure import Figure, Figures, share
from models.audit.intervals import (
    CONFIDENCE,
    NORMAL,
    Bools,
    Floats,
    Ints,
    Statistic,
    Units,
    mean_recall,
    n_speakers,
    ratio,
    spread,
    student,
)
from models.audit.measures.measure import BREAKDOWNS, MEASURES, Breakdown
from models.audit.table import Table

BANDS_S: Final = (1.0, 2.0, 3.0, 5.0, 10.0)
"""Where bands of duration end, in seconds."""
FEWEST: Final = 5
"""Clips of a group that is compared: of fewer, luck decides."""
MOST_GROUPS: Final = 100
"""That are listed of one kind: those with the most clips."""

Compared = Literal["uar", "success_rate", "flip_rate"]


class Group(Figures):
    """Some clips that have something in common."""

    group: str = Field(examples=["f"])
    n: int
    uar: Figure = Field(description="Of an emotion, its recall.")
    success_rate: Figure | None = Field(description="Null for the clips as they are.")
    flip_rate: Figure | None = Field(description="Likewise.")


class GroupTable(Figures):
    """All groups of one kind, at one point of the curve."""

    attack: int | None = Field(description="Index of the attack; null for the clips as they are.")
    strength: float | None
    by: str = Field(examples=["gender"])
    groups: list[Group]
    left_out: int = Field(description="Groups beyond the 100 with the most clips.")


class Gap(Figures):
    """The group on which a figure is worst, and the one on which it is best."""

    attack: int | None = Field(description="Index of the attack; null for the clips as they are.")
    strength: float | None
    by: str = Field(examples=["gender"])
    figure: Compared
    worst: str
    best: str
    groups: int = Field(description="That were compared: those with at least 5 such clips.")
    gap: Figure = Field(
        description="Worst minus best: of UAR at most 0, of success and flips at least 0. The"
        " interval is one for all pairs of groups together."
    )


@BREAKDOWNS.register("gaps")
class Gaps(Breakdown):
    """Figures by group, and the largest difference of each."""

    name = "gaps"
    shown_in = "gaps[]; all groups are in the report's groups[]"
    definition = (
        "UAR, success rate and flip rate by speaker, gender, emotion, duration (bands that end at"
        " 1, 2, 3, 5 and 10 s) and the request's group_by column; of each the worst group minus the"
        " best, among groups with at least 5 such clips. As the two are picked for being far apart,"
        " the interval is at the level .05 / (number of pairs), and holds for all pairs together."
    )
    formula = (
        "gap = θ(worst) − θ(best); gap ± t · SE, with t Student's quantile at 1 − .025 / (k(k−1)/2)"
        " for k groups, and SE from 2,000 paired draws of speakers (of clips, where groups are"
        " speakers)"
    )
    source = "Bonferroni: Dunn, Multiple Comparisons among Means, JASA 1961."


@dataclass(frozen=True)
class Kind:
    """A way to group clips.

    Attributes:
        by: what it is called.
        names: of the groups.
        group: of each clip, (clips of the audit,); -1 for none.
    """

    by: str
    names: Sequence[str]
    group: Ints


def bands() -> list[str]:
    """Names of the bands of duration."""
    edges = [f"{edge:g}" for edge in BANDS_S]
    between = [f"{low} to {high} s" for low, high in pairwise(edges)]
    return [f"under {edges[0]} s", *between, f"{edges[-1]} s and more"]


def band_of(duration_s: Floats) -> Ints:
    """The band of each clip."""
    return np.searchsorted(np.array(BANDS_S), duration_s, side="right")


@dataclass(frozen=True)
class _Taken:
    """A figure as a function of counts: which clips, the cell of each, and what is made of them."""

    of: Bools
    cell: Ints
    cells: int
    statistic: Statistic


def _taken(clips: Table, figure: Compared) -> _Taken:
    if figure == "uar":
        classes = len(clips.labels)
        return _Taken(
            clips.labelled,
            clips.truth * 2 + clips.right,
            2 * classes,
            lambda sums: mean_recall(sums.reshape(*sums.shape[:-1], classes, 2)),
        )
    if figure == "success_rate":
        of, cell = clips.counted & (clips.success >= 0), np.maximum(clips.success, 0)
    else:
        of, cell = clips.clip >= 0, (clips.after != clips.before).astype(np.int64)
    return _Taken(of, cell, 2, lambda sums: ratio(sums[..., 1], sums.sum(axis=-1)))


def group_table(
    clips: Table, kind: Kind, attack: int | None, strength: float | None
) -> GroupTable | None:
    """All groups that there are clips of; None without any.

    Args:
        clips: at one point of the curve.
        attack, strength: of that point; None for the clips as they are.
    """
    each = kind.group[clips.clip]
    counts = np.bincount(each[each >= 0], minlength=len(kind.names))
    largest = [int(one) for one in np.argsort(-counts, kind="stable") if counts[one]]
    if not largest:
        return None
    listed = sorted(largest[:MOST_GROUPS], key=lambda one: kind.names[one])
    if kind.by == "duration":
        listed.sort()
    return GroupTable(
        attack=attack,
        strength=strength,
        by=kind.by,
        groups=[
            _group(kind.names[one], clips.where(each == one), attacked=attack is not None)
            for one in listed
        ],
        left_out=len(largest) - len(listed),
    )


def _group(name: str, clips: Table, *, attacked: bool) -> Group:
    of = _taken(clips, "flip_rate")
    return Group(
        group=name,
        n=len(clips),
        uar=MEASURES["uar"]().figure(clips),
        success_rate=MEASURES["success_rate"]().figure(clips) if attacked else None,
        flip_rate=share(of.cell > 0, of.of, clips.speaker) if attacked else None,
    )


def gaps(clips: Table, kind: Kind, table: GroupTable) -> Iterator[Gap]:
    """Worst minus best of each figure, where two groups or more are compared."""
    compared: tuple[Compared, ...] = ("uar", "success_rate", "flip_rate")
    for figure in compared:
        known = [
            (found.value, group.group)
            for group in table.groups
            if (found := getattr(group, figure)) is not None
            and found.n >= FEWEST
            and found.value is not None
        ]
        if len(known) < 2:
            continue
        low, high = min(known)[1], max(known, key=lambda one: one[0])[1]
        worst, best = (low, high) if figure == "uar" else (high, low)
        if worst == best:  # all are the same
            worst, best = known[0][1], known[-1][1]
        yield Gap(
            attack=table.attack,
            strength=table.strength,
            by=table.by,
            figure=figure,
            worst=worst,
            best=best,
            groups=len(known),
            gap=_gap(clips, kind, figure, worst, best, len(known)),
        )


def _gap(clips: Table, kind: Kind, figure: Compared, worst: str, best: str, groups: int) -> Figure:
    numbers = {name: number for number, name in enumerate(kind.names)}
    each = kind.group[clips.clip]
    taken = _taken(clips, figure)
    of = taken.of & ((each == numbers[worst]) | (each == numbers[best]))
    side = (each[of] == numbers[best]).astype(np.int64)
    speaker = clips.speaker[of]
    # Two speakers are no sample of speakers: their own clips are drawn.
    units = Units.clips(int(of.sum())) if kind.by == "speaker" else Units.speakers(speaker)
    sums = units.cells(side * taken.cells + taken.cell[of], 2 * taken.cells)

    def difference(sums: Floats) -> Floats:
        first, second = sums[..., : taken.cells], sums[..., taken.cells :]
        return taken.statistic(first) - taken.statistic(second)

    value = float(difference(sums.sum(axis=0)))
    error = spread(sums, difference) or _without_draws(taken, of, side, speaker)
    pairs = groups * (groups - 1) // 2
    half = student(max(1, units.count - 1), (1 - CONFIDENCE) / pairs) * error
    return Figure(
        value=value,
        interval=(max(-1.0, value - half), min(1.0, value + half)),
        n=int(of.sum()),
        n_speakers=n_speakers(speaker),
        method="bonferroni",
    )


def _without_draws(taken: _Taken, of: Bools, side: Ints, speaker: Ints) -> float:
    """A standard error where all draws are the same, as where all clips of both groups are broken:
    that of Wilson's intervals."""
    halves = []
    for one in (0, 1):
        found = share(taken.cell[of] % 2 > 0, side == one, speaker)
        assert found.interval is not None  # there are clips on both sides
        halves.append((found.interval[1] - found.interval[0]) / 2)
    return math.hypot(*halves) / NORMAL
