"""Which clips an attack breaks in both audits, in one of them, or in neither."""

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np
from pydantic import Field

from models.audit.comparison.common_ground import Case, Common
from models.audit.comparison.deltas import all_right_before
from models.audit.figure import Figures
from models.audit.intervals import Bools

MOST_LISTED: Final = 50
"""Clips of a cell that are named."""
MOST_NAMED: Final = 10_000
"""Of all cells together: names take some 60 bytes each."""


class CrossedClip(Figures):
    """A clip, and where its rows are."""

    clip: str = Field(examples=["AudioWAV/1001_DFA_ANG_XX.wav"])
    a: int = Field(description="Index of its row in audit `a`.", examples=[3])
    b: int = Field(description="Index of its row in audit `b`.", examples=[3])


class CrossedCell(Figures):
    """Some of the clips that two audits were right on before."""

    n: int = Field(description="How many.", examples=[11])
    clips: list[CrossedClip] = Field(
        description=f"The first of them, at most {MOST_LISTED}; fewer where there are many cells."
    )


class Crossed(Case):
    """Two audits in one case, clip by clip: those that all audits of the comparison were right on
    before, which are those that `success_rate` is compared over."""

    a: str
    b: str
    n: int = Field(description="Clips in the four cells together.", examples=[48])
    both: CrossedCell = Field(description="Broken in both.")
    only_a: CrossedCell = Field(description="Broken in `a` alone.")
    only_b: CrossedCell = Field(description="Broken in `b` alone.")
    neither: CrossedCell = Field(description="Broken in neither.")


def crossed(found: Common, pairs: Sequence[tuple[int, int]]) -> list[Crossed]:
    """The four cells of each case but the clean one, for each pair of audits."""
    cases = [(one, one.success) for one in found.cases() if one.success is not None]
    listed = min(MOST_LISTED, MOST_NAMED // max(1, 4 * len(cases) * len(pairs)))
    return [
        _crossed(found, one.case, np.equal(success, 1), all_right_before(found, one), a, b, listed)
        for one, success in cases
        for a, b in pairs
    ]


def _crossed(
    found: Common, case: Case, broken: Bools, counted: Bools, a: int, b: int, listed: int
) -> Crossed:
    in_a, in_b = broken[a], broken[b]

    def cell(chosen: Bools) -> CrossedCell:
        clips = np.flatnonzero(chosen & counted)
        return CrossedCell(n=len(clips), clips=list(_named(found, clips[:listed].tolist(), a, b)))

    return Crossed(
        **dict(case),
        a=found.outcomes[a].name,
        b=found.outcomes[b].name,
        n=int(counted.sum()),
        both=cell(in_a & in_b),
        only_a=cell(in_a & ~in_b),
        only_b=cell(in_b & ~in_a),
        neither=cell(~in_a & ~in_b),
    )


def _named(found: Common, clips: Sequence[int], a: int, b: int) -> Iterator[CrossedClip]:
    index_a, index_b = found.index(a), found.index(b)
    for one in clips:
        yield CrossedClip(clip=found.clips[one], a=int(index_a[one]), b=int(index_b[one]))
