"""Accuracy."""

from typing import ClassVar

from models.audit.intervals import Bools
from models.audit.measures.measure import MEASURES, Share, Where
from models.audit.table import Table


@MEASURES.register("accuracy")
class Accuracy(Share):
    """P(the prediction is the label)."""

    name = "accuracy"
    definition = "Share of the clips with a label on which the model is right."
    formula = "P(ŷ′ = y)"
    source = "What scikit-learn calls accuracy_score, and emotion challenges weighted accuracy."
    taken_of: ClassVar[tuple[Where, ...]] = ("clean", "point", "worst_case")

    def of(self, clips: Table) -> Bools:
        """See :class:`Share`."""
        return clips.labelled

    def counted(self, clips: Table) -> Bools:
        """See :class:`Share`."""
        return clips.right
