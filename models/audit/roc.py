"""How well a number tells attacked clips from clean ones: the area under the ROC curve."""

from typing import Final

import numpy as np

from models.audit.figure import Figure, of_sums
from models.audit.intervals import Floats, Ints, Units, ratio

RANKS: Final = 200
"""In which numbers are sorted for the interval; the value takes them as they are."""


def roc_area(clean: Floats, attacked: Floats, speaker: Ints) -> Figure:
    """P(attacked < clean) + ½ P(attacked = clean), over all pairs of an attacked and a clean clip
    (Hanley & McNeil, Radiology 1982): .5 tells nothing, 1 tells all.

    Args:
        clean, attacked: a number that is to be smaller for attacked clips, of the same clips once
            clean and once attacked, (clips,).
        speaker: of each, (clips,); -1 if it is not known.
    """
    n = len(clean)
    units = Units.speakers(speaker)
    ranks = _ranks(np.concatenate([clean, attacked]))
    cells = np.concatenate([units.cells(ranks[:n], RANKS), units.cells(ranks[n:], RANKS)], axis=1)
    found = of_sums(units, cells, _auc, speaker)
    if not n:
        return found
    value = _exact(clean, attacked)
    low, high = found.interval or (value, value)
    return found.model_copy(
        update={"value": value, "interval": (min(low, value), max(high, value))}
    )


def _ranks(numbers: Floats) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Of each: its own if there are few different ones, else its quantile."""
    different, each = np.unique(numbers, return_inverse=True)
    if len(different) <= RANKS:
        return each.astype(np.int64)
    edges = np.quantile(numbers, np.linspace(0, 1, RANKS + 1)[1:-1])
    return np.searchsorted(edges, numbers, side="right")


def _auc(sums: Floats) -> Floats:
    """Of counts of clean and attacked clips at each rank, (..., 2 · ranks) → (...)."""
    clean, attacked = sums[..., :RANKS], sums[..., RANKS:]
    below = np.cumsum(attacked, axis=-1) - attacked / 2
    pairs = clean.sum(axis=-1) * attacked.sum(axis=-1)
    return ratio((clean * below).sum(axis=-1), pairs)


def _exact(clean: Floats, attacked: Floats) -> float:
    ordered = np.sort(attacked)
    below = np.searchsorted(ordered, clean, side="left")
    not_above = np.searchsorted(ordered, clean, side="right")
    return float((below + not_above).mean() / 2 / len(attacked))
