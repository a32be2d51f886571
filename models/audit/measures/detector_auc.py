"""Whether the model's own confidence gives an attack away."""

from typing import Final

import numpy as np

from models.audit.figure import Figure, of_sums
from models.audit.intervals import Floats, Units, ratio
from models.audit.measures.measure import MEASURES, Measure
from models.audit.table import Table

RANKS: Final = 200
"""In which confidences are sorted for the interval; the value takes them as they are."""


@MEASURES.register("detector_auc")
class DetectorAuc(Measure):
    """Area under the ROC curve of confidence as a detector of attacks."""

    name = "detector_auc"
    definition = (
        "Area under the ROC curve of a detector that takes a clip for attacked the less confident"
        " the model is: .5 tells nothing, 1 tells all; below .5 the attack makes the model surer."
        " Over the attacked clips, each once clean and once attacked."
    )
    formula = (
        "P(max p′ < max p) + ½ P(max p′ = max p), over all pairs of an attacked and a clean clip"
    )
    source = (
        "Hanley & McNeil, Radiology 1982; the baseline detector of Hendrycks & Gimpel, ICLR 2017."
        " For the interval confidences are sorted into 200 ranks."
    )

    def figure(self, clips: Table) -> Figure:
        """See :class:`Measure`."""
        clips = clips.where(~clips.left_alone)
        n = len(clips)
        units = Units.speakers(clips.speaker)
        both = np.concatenate([clips.confidence_before, clips.confidence])
        ranks = _ranks(both)
        cells = np.concatenate(
            [units.cells(ranks[:n], RANKS), units.cells(ranks[n:], RANKS)], axis=1
        )
        found = of_sums(units, cells, _auc, clips.speaker)
        if not n:
            return found
        value = _exact(clips.confidence_before, clips.confidence)
        low, high = found.interval or (value, value)
        return found.model_copy(
            update={"value": value, "interval": (min(low, value), max(high, value))}
        )


def _ranks(confidences: Floats) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Of each: its own if there are few different ones, else its quantile."""
    different, each = np.unique(confidences, return_inverse=True)
    if len(different) <= RANKS:
        return each.astype(np.int64)
    edges = np.quantile(confidences, np.linspace(0, 1, RANKS + 1)[1:-1])
    return np.searchsorted(edges, confidences, side="right")


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
