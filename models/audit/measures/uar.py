"""Unweighted average recall."""

from typing import ClassVar

from models.audit.figure import Figure, of_sums
from models.audit.intervals import Floats, Units, mean_recall, wilson_near
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
    version = 2
    taken_of: ClassVar[tuple[Where, ...]] = ("clean", "point", "worst_case")

    def figure(self, clips: Table) -> Figure:
        """See :class:`Measure`."""
        clips = clips.where(clips.labelled)
        units, classes = Units.speakers(clips.speaker), len(clips.labels)
        cells = units.cells(clips.truth * 2 + clips.right, 2 * classes)

        def uar(sums: Floats) -> Floats:
            return mean_recall(sums.reshape(*sums.shape[:-1], classes, 2))

        same = wilson_near(float(uar(cells.sum(axis=0))), len(clips))
        return of_sums(units, cells, uar, clips.speaker, same=(same, "wilson"))
