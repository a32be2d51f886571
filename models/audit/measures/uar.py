"""Unweighted average recall."""

from typing import ClassVar

import numpy as np

from models.audit.figure import Figure, of_sums
from models.audit.intervals import Units, mean_recall, wilson
from models.audit.measures.measure import MEASURES, Measure, Where
from models.audit.table import Table


@MEASURES.register("uar")
class Uar(Measure):
    """Mean recall over the classes that there are labelled clips of."""

    name = "uar"
    definition = (
        "Unweighted average recall: mean over the emotions that there are scored clips of, each of"
        " the share of its clips on which the model is right."
    )
    formula = "(1/K) Σₖ P(ŷ′ = k | y = k), over the K classes with at least one clip"
    source = (
        "Schuller et al., The INTERSPEECH 2009 Emotion Challenge, Sec. 4; what scikit-learn calls"
        " balanced_accuracy_score and audmetric unweighted_average_recall."
    )
    taken_of: ClassVar[tuple[Where, ...]] = ("clean", "point", "worst_case")

    def figure(self, clips: Table) -> Figure:
        """See :class:`Measure`."""
        clips = clips.where(clips.labelled)
        units, classes = Units.speakers(clips.speaker), len(clips.labels)
        cells = units.cells(clips.truth * 2 + clips.right, 2 * classes)
        return of_sums(
            units,
            cells,
            lambda sums: mean_recall(sums.reshape(*sums.shape[:-1], classes, 2)),
            clips.speaker,
            same=(wilson(int(np.sum(clips.right)), len(clips)), "wilson"),
        )
