"""How much of its confidence in the truth an attack takes from a model."""

from models.audit.intervals import Bools, Floats
from models.audit.measures.measure import MEASURES, Mean
from models.audit.table import Table


@MEASURES.register("confidence_drop")
class ConfidenceDrop(Mean):
    """Mean of p(truth | clean) − p(truth | attacked). It moves before any label does."""

    name = "confidence_drop"
    definition = "Mean fall of the true label's probability, over all clips."
    formula = "mean of p(y) − p′(y)"
    source = "Of this project. Without a label the clean prediction is the truth."

    def of(self, clips: Table) -> Bools:
        """See :class:`Mean`."""
        return clips.clip >= 0

    def values(self, clips: Table) -> Floats:
        """See :class:`Mean`."""
        return clips.truth_score_before - clips.truth_score
