"""Expected calibration error."""

from typing import ClassVar, Final

import numpy as np

from models.audit.figure import Figure, of_sums
from models.audit.intervals import Floats, Units, ratio
from models.audit.measures.measure import MEASURES, Measure, Where
from models.audit.table import Table

BINS: Final = 15


@MEASURES.register("ece")
class Ece(Measure):
    """How far the model's confidence is from how often it is right."""

    name = "ece"
    definition = (
        "Expected calibration error of the clips with a label: distance between confidence (the"
        " score of the predicted emotion) and accuracy, in 15 bins of equal width, weighted by the"
        " clips in them. It is never below 0, and of few clips larger than that of many."
    )
    formula = "Σ over bins b of (n_b / n) · |accuracy_b − confidence_b|; b = ((i − 1)/15, i/15]"
    source = "Guo et al., On Calibration of Modern Neural Networks, ICML 2017, Eq. 3, with M = 15."
    taken_of: ClassVar[tuple[Where, ...]] = ("clean", "point")

    def figure(self, clips: Table) -> Figure:
        """See :class:`Measure`."""
        clips = clips.where(clips.labelled)
        place = np.clip(np.ceil(clips.confidence * BINS).astype(np.int64) - 1, 0, BINS - 1)
        units = Units.speakers(clips.speaker)
        # Of each bin: accuracy minus confidence, summed; and the clips, for their number.
        gap = np.zeros((len(clips), BINS + 1))
        gap[np.arange(len(clips)), place] = clips.right - clips.confidence
        gap[:, BINS] = 1.0

        def error(sums: Floats) -> Floats:
            return ratio(np.abs(sums[..., :BINS]).sum(axis=-1), sums[..., BINS])

        return of_sums(units, units.sums(gap), error, clips.speaker)
