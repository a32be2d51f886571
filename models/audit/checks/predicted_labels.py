"""An attack on the model's own predictions cannot break what is wrong, and may repair it."""

from models.audit.checks.check import CHECKS, Check
from models.audit.checks.observed import Observed
from models.audit.checks.outcome import Clear, NotRun, Outcome, Raised
from models.audit.checks.patches import changed


@CHECKS.register("predicted_labels")
class PredictedLabels(Check):
    """All attacks go by predicted labels."""

    id = "predicted_labels"
    title = "Predicted labels alone: no attack goes by the true emotion"
    severity = "weak"
    reads = "attacks of the request, and labels of the clips"
    raised_if = "every attack has `labels: predicted`, or no clip has a label"
    remedy = (
        "Attack the true labels: of a clip that is wrong already, an attack on the prediction may"
        " make a right one, so that UAR rises while predictions flip."
    )

    def look(self, audit: Observed) -> Outcome:
        """See :class:`Check`."""
        if not audit.adversaries:
            return NotRun("No attack was scored.")
        if len(audit.clean) and not bool(audit.clean.labelled.any()):
            return Raised("No clip has a label.", "Give the clips' labels.")
        true = audit.which(lambda one: one.labels == "true")
        if true:
            return Clear(f"{len(true)} of {len(audit.adversaries)} attacks go by true labels.")
        told = f"All {len(audit.adversaries)} attacks go by predicted labels."
        return Raised(told, self.remedy, changed(audit, list(audit.adversaries), labels="true"))
