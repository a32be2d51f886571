"""Differences between two audits, paired by clip and drawn by speaker, with what chance makes.

In a draw of a bootstrap both models answer the same clips of the same speakers. So what makes a
speaker hard for both of them cancels, which it does not where two intervals are set side by side
(Davison & Hinkley, "Bootstrap Methods and their Application", 1997, Sec. 3.8).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final, Literal, get_args

import numpy as np
from pydantic import Field

from models.audit.comparison.common_ground import Case, CaseOutcomes, Common
from models.audit.comparison.significance import McNemar, ZTest, holm, t_test, z_test
from models.audit.figure import Figure
from models.audit.intervals import (
    Bools,
    Floats,
    Ints,
    Units,
    all_the_same,
    drawn,
    n_speakers,
    newcombe,
    percentiles,
    ratio,
    standard_error,
)

FigureName = Literal["uar", "success_rate", "flip_rate"]
FIGURES: Final[tuple[FigureName, ...]] = get_args(FigureName)
SIGNIFICANT: Final = 0.05


class Delta(Case, Figure):
    """A figure of audit `b` minus that of audit `a`, over the same clips."""

    figure: FigureName = Field(
        description="`uar`: of the labelled clips. `success_rate`: of the clips that all audits of"
        " the comparison were right on before. `flip_rate`: of all clips."
    )
    a: str = Field(examples=["audit_01K9ZQ3W8M4V7T2X6B5N0C1DEF"])
    b: str = Field(examples=["audit_01K9ZQ3W8M4V7T2X6B5N0C1DEG"])
    of_a: float | None = Field(description="The figure of `a` over these clips.", examples=[0.42])
    of_b: float | None = Field(description="That of `b`.", examples=[0.49])
    p: float | None = Field(
        description="That the two differ by chance: two-sided, of Student's distribution, by the"
        " standard error over the draws and as many degrees of freedom as there are speakers (or"
        " clips, see `method`) less one.",
        examples=[0.04],
    )
    p_holm: float | None = Field(
        default=None,
        description="The same, adjusted for all `comparisons` of the answer (Holm 1979).",
        examples=[0.12],
    )
    mcnemar: McNemar
    z_test: ZTest | None

    @property
    def differs(self) -> bool:
        """Whether the interval leaves out 0, and chance does not make such a difference among so
        many comparisons."""
        if self.interval is None or self.p_holm is None:
            return False
        low, high = self.interval
        return (low > 0 or high < 0) and self.p_holm <= SIGNIFICANT


@dataclass(frozen=True)
class _Sums:
    """What a figure is taken of.

    Attributes:
        counted: which clips, (clips,).
        hits: which of them count for each audit, (audits, clips).
        classes: of the clips, (clips,), whose recalls are averaged; None for a plain share.
    """

    counted: Bools
    hits: Bools
    classes: Ints | None = None


def deltas(
    found: Common,
    pairs: Sequence[tuple[int, int]] | None = None,
    figures: Sequence[FigureName] = FIGURES,
) -> list[Delta]:
    """All differences, with their p adjusted for each other.

    Args:
        found: the audits on what they have in common.
        pairs: places of `a` and `b` among the audits; None: all pairs.
    """
    wanted = list(combinations(range(len(found.outcomes)), 2)) if pairs is None else pairs
    every = [
        _delta(found, outcomes.case, figure, sums, a, b)
        for outcomes in found.cases()
        for figure, sums in _sums(found, outcomes)
        if figure in figures
        for a, b in wanted
    ]
    tested = [one for one in every if one.p is not None]
    adjusted = holm([one.p for one in tested if one.p is not None])
    for one, p in zip(tested, adjusted, strict=True):
        one.p_holm = p
    return every


def all_right_before(found: Common, outcomes: CaseOutcomes) -> Bools:
    """The clips over which success is compared: scored by all audits, and right before in all.

    As elsewhere they are the labelled ones, or all if none has a label.
    """
    counted = found.labelled if bool(found.labelled.any()) else np.ones(len(found), dtype=np.bool_)
    if outcomes.success is None:
        return np.zeros(len(found), dtype=np.bool_)
    right: Bools = counted & outcomes.scored.all(axis=0) & (outcomes.success >= 0).all(axis=0)
    return right


def _sums(found: Common, outcomes: CaseOutcomes) -> Iterator[tuple[FigureName, _Sums]]:
    scored: Bools = np.logical_and.reduce(outcomes.scored)
    if found.labelled.any():
        yield "uar", _Sums(found.labelled & scored, outcomes.right, found.truth)
    if outcomes.success is not None:
        yield (
            "success_rate",
            _Sums(all_right_before(found, outcomes), outcomes.success == 1),
        )
    if outcomes.flipped is not None:
        yield "flip_rate", _Sums(scored, outcomes.flipped)


def _delta(found: Common, case: Case, figure: FigureName, sums: _Sums, a: int, b: int) -> Delta:
    counted = sums.counted
    hits_a, hits_b = sums.hits[a][counted], sums.hits[b][counted]
    speaker = found.speaker[counted]
    n, units = len(speaker), Units.speakers(speaker)
    if sums.classes is None:
        cells, difference = _share_sums(units, hits_a, hits_b)
        of_a, of_b = _share(hits_a), _share(hits_b)
    else:
        classes = sums.classes[counted]
        cells, difference = _recall_sums(units, hits_a, hits_b, classes)
        of_a, of_b = _uar(hits_a, classes), _uar(hits_b, classes)
    value = None if of_a is None or of_b is None else of_b - of_a
    only_a, only_b = int((hits_a & ~hits_b).sum()), int((hits_b & ~hits_a).sum())
    mcnemar = McNemar.of(only_a, only_b)
    interval, method, p = None, units.method, None
    if value is not None:
        draws = drawn(cells, difference) if units.count > 1 else np.empty(0)
        if all_the_same(draws):
            low, high = newcombe(int(hits_b.sum()), int(hits_a.sum()), n) or (value, value)
            interval, method, p = (min(low, value), max(high, value)), "newcombe", mcnemar.p
        else:
            interval = percentiles(draws, value, units.count)
            p = t_test(value, standard_error(draws, units.count), units.count)
    return Delta(
        **dict(case),
        figure=figure,
        a=found.outcomes[a].name,
        b=found.outcomes[b].name,
        of_a=of_a,
        of_b=of_b,
        value=value,
        interval=interval,
        n=n,
        n_speakers=n_speakers(speaker),
        method=method,
        p=p,
        mcnemar=mcnemar,
        z_test=None if of_a is None or of_b is None else z_test(of_a, of_b, n),
    )


Difference = Callable[[Floats], Floats]


def _share_sums(units: Units, hits_a: Bools, hits_b: Bools) -> tuple[Floats, Difference]:
    """Clips of each unit by what counts for the two, and the difference of the shares."""
    cells = units.cells(hits_a * 2 + hits_b, 4)

    def difference(sums: Floats) -> Floats:
        return ratio(sums[..., 1] - sums[..., 2], sums.sum(axis=-1))

    return cells, difference


def _recall_sums(
    units: Units, hits_a: Bools, hits_b: Bools, classes: Ints
) -> tuple[Floats, Difference]:
    """Clips of each unit by class and by what counts for the two, and the difference of the mean
    recalls."""
    there = np.unique(classes)  # of a thousand labels, those that there are
    kinds = np.searchsorted(there, classes) * 4 + hits_a * 2 + hits_b
    cells = units.cells(kinds, 4 * len(there))

    def difference(sums: Floats) -> Floats:
        each = sums.reshape(*sums.shape[:-1], len(there), 4)
        gained = ratio(each[..., 1] - each[..., 2], each.sum(axis=-1))
        drawn_classes = ~np.isnan(gained)
        total = np.where(drawn_classes, gained, 0.0).sum(axis=-1)
        return ratio(total, drawn_classes.sum(axis=-1))

    return cells, difference


def _share(hits: Bools) -> float | None:
    return int(hits.sum()) / len(hits) if len(hits) else None


def _uar(hits: Bools, classes: Ints) -> float | None:
    each = [float(hits[classes == one].mean()) for one in np.unique(classes)]
    return sum(each) / len(each) if each else None
