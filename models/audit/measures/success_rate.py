"""Attack success rate."""

from models.audit.evidence import AttackedPrediction, AuditRow
from models.audit.measures.measure import MEASURES, Figure, Measure, share


@MEASURES.register("success_rate")
class SuccessRate(Measure):
    """P(the attack reaches its goal | the model was right before).

    Of labelled clips, or of all if none has a label: then the clean prediction is the truth.
    """

    name = "success_rate"
    definition = "Share of the clips that were right before on which the attack reached its goal."

    def __init__(self) -> None:
        self._labelled: list[bool] = []
        self._unlabelled: list[bool] = []
        self._any_label = False

    def add(self, row: AuditRow, after: AttackedPrediction) -> None:
        """See :class:`Measure`."""
        self._any_label = self._any_label or row.label is not None
        if after.success is not None:
            counted = self._unlabelled if row.label is None else self._labelled
            counted.append(after.success)

    def figure(self) -> Figure:
        """See :class:`Measure`."""
        counted = self._labelled if self._any_label else self._unlabelled
        return share(sum(counted), len(counted))
