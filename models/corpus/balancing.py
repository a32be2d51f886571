"""Speakers change places between the splits of a partition until emotions and genders balance.

Speakers differ: one has two clips, another eighty, all of them angry. Random assignments that fill
the quotas rarely meet a good mixture then. From the best of them, two speakers of one gender that
belong to different splits are swapped as long as that brings the splits nearer to their shares; the
quotas stay filled.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

# Of speakers times emotions and genders: beyond that many a random draw is as good, and the table
# would be large.
MOST_CELLS: Final = 200_000
# Cells that are looked at, over which a large crowd stops where it is. Of 100 speakers in eight
# emotions, one look at all pairs takes 50,000.
MOST_WORK: Final = 20_000_000
# What counts as nearer; less is rounding.
LEAST_GAIN: Final = 1e-9

Table = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]


def cost(table: Table, shares: Table) -> float:
    """How far the splits are from their shares; 1 more for each emotion that a split lacks.

    Args:
        table: clips of each split and kind, (splits, kinds); a kind is an emotion or a gender.
        shares: wanted of each split, (splits,).
    """
    short = table / table.sum(axis=0) - shares[:, None]
    return float(np.square(short).sum() + (table == 0).sum())


def balance(
    clips: Table, groups: Sequence[Sequence[int]], assignment: Numbers, shares: Table
) -> Numbers:
    """An assignment that no swap of two speakers makes better, or the one at which work is over.

    Args:
        clips: of each speaker and kind, (speakers, kinds); every kind occurs.
        groups: the numbers of the speakers that may be swapped with each other.
        assignment: the number of the split of each speaker, (speakers,).
        shares: wanted of each split, (splits,).

    Returns:
        The number of the split of each speaker.
    """
    assignment = assignment.copy()
    table = np.stack([clips[assignment == split].sum(axis=0) for split in range(len(shares))])
    totals = clips.sum(axis=0)
    work, improved = 0, True
    while improved:
        improved = False
        for members in groups:
            group = np.array(members, np.int64)
            for speaker in members:
                work += len(group) * clips.shape[1]
                if work > MOST_WORK:
                    return assignment
                other = _best_partner(speaker, group, clips, assignment, table, shares, totals)
                if other is None:
                    continue
                change = clips[other] - clips[speaker]
                table[assignment[speaker]] += change
                table[assignment[other]] -= change
                assignment[[speaker, other]] = assignment[[other, speaker]]
                improved = True
    return assignment


def _best_partner(
    speaker: int,
    group: Numbers,
    clips: Table,
    assignment: Numbers,
    table: Table,
    shares: Table,
    totals: Table,
) -> int | None:
    """With whom ``speaker`` had best change places; None if with nobody."""
    here = assignment[speaker]
    others = group[assignment[group] != here]
    if not len(others):
        return None
    there = assignment[others]
    change = clips[others] - clips[speaker]
    before = _part(table, shares[:, None], totals)
    after = _part(table[here] + change, shares[here], totals) + _part(
        table[there] - change, shares[there][:, None], totals
    )
    gains = before[here] + before[there] - after
    best = int(np.argmax(gains))
    return int(others[best]) if gains[best] > LEAST_GAIN else None


def _part(table: Table, shares: Table, totals: Table) -> Table:
    """What each row adds to `cost`, (rows,)."""
    added: Table = np.square(table / totals - shares).sum(axis=1) + (table == 0).sum(axis=1)
    return added
