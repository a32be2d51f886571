"""Robust error: what RobustBench reports one minus of, and Foolbox calls the attack's success."""

from models.audit.evidence import AttackedPrediction, AuditRow
from models.audit.measures.measure import MEASURES, Share


@MEASURES.register("wrong_after")
class WrongAfter(Share):
    """P(the model is wrong under the attack), whether or not it was right before."""

    name = "wrong_after"
    definition = "Share of the attacked clips with a label on which the model is wrong."

    def counts(self, row: AuditRow, after: AttackedPrediction) -> bool | None:
        """See :class:`Share`."""
        left_alone = after.details.get("has_target_label", False)
        return None if row.label is None or left_alone else after.label != row.label
