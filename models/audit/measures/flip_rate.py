"""Flip rate: what ART's ``compute_success`` counts without labels."""

from models.audit.evidence import AttackedPrediction, AuditRow
from models.audit.measures.measure import MEASURES, Share


@MEASURES.register("flip_rate")
class FlipRate(Share):
    """P(the prediction changes), right or wrong."""

    name = "flip_rate"
    definition = "Share of all clips whose prediction the attack changed, right or wrong."

    def counts(self, row: AuditRow, after: AttackedPrediction) -> bool | None:
        """See :class:`Share`."""
        return after.label != row.clean.label
