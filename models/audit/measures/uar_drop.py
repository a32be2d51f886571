"""What an attack takes from the UAR."""

from typing import ClassVar

from models.audit.figure import Figure, of_sums
from models.audit.intervals import Floats, Units, mean_recall, newcombe_near
from models.audit.measures.measure import MEASURES, Measure, Where
from models.audit.table import Table


@MEASURES.register("uar_drop")
class UarDrop(Measure):
    """Clean UAR minus that under the attack, of the same clips."""

    name = "uar_drop"
    definition = (
        "Clean UAR minus UAR under the attack, both of the clips that were scored at this point."
        " The draws are paired: each has the same speakers on both sides."
    )
    formula = "UAR(ŷ) − UAR(ŷ′)"
    source = "Paired bootstrap: Efron & Tibshirani, An Introduction to the Bootstrap, 1993, Ch. 8."
    version = 2
    taken_of: ClassVar[tuple[Where, ...]] = ("point", "worst_case")

    def figure(self, clips: Table) -> Figure:
        """See :class:`Measure`."""
        clips = clips.where(clips.labelled)
        units, classes = Units.speakers(clips.speaker), len(clips.labels)
        cells = units.cells(clips.truth * 4 + clips.right_before * 2 + clips.right, 4 * classes)

        def uars(sums: Floats) -> tuple[Floats, Floats]:
            counts = sums.reshape(*sums.shape[:-1], classes, 2, 2)
            return mean_recall(counts.sum(axis=-1)), mean_recall(counts.sum(axis=-2))

        def drop(sums: Floats) -> Floats:
            before, after = uars(sums)
            return before - after

        before, after = uars(cells.sum(axis=0))
        same = newcombe_near(float(before), float(after), len(clips))
        return of_sums(units, cells, drop, clips.speaker, same=(same, "newcombe"))
