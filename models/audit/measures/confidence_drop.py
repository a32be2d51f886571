"""How much of its confidence in the truth an attack takes from a model."""

from models.audit.evidence import AttackedPrediction, AuditRow
from models.audit.measures.measure import MEASURES, Figure, Measure, normal


@MEASURES.register("confidence_drop")
class ConfidenceDrop(Measure):
    """Mean of p(truth | clean) − p(truth | attacked). It moves before any label does."""

    name = "confidence_drop"
    definition = "Mean fall of the true label's probability, over all clips."

    def __init__(self) -> None:
        self._drops: list[float] = []

    def add(self, row: AuditRow, after: AttackedPrediction) -> None:
        """See :class:`Measure`."""
        self._drops.append(row.clean.scores[row.truth] - after.scores[row.truth])

    def figure(self) -> Figure:
        """See :class:`Measure`."""
        n = len(self._drops)
        value = sum(self._drops) / n if n else None
        return Figure(value=value, interval=normal(self._drops), n=n, method="normal")
