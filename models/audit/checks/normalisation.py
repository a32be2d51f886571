"""The model's z-score is that of the clips that it is audited on."""

from typing import Final

from models.audit.checks.check import CHECKS, Check
from models.audit.checks.observed import Observed
from models.audit.checks.outcome import Clear, NotRun, Outcome, Raised

NEAR: Final = 0.01


@CHECKS.register("normalisation")
class Normalisation(Check):
    """Statistics of the audited data in the model's configuration."""

    id = "normalisation"
    title = "The model's z-score was taken of the audited clips"
    severity = "weak"
    reads = "`scale` of the result"
    raised_if = (
        "in every mel band the deviation of the clips is within 1 % of the one that the model"
        " states, which other speech does not come to by chance"
    )
    remedy = (
        "Take mean and deviation of the training split: a model that was given those of the test"
        " has seen it."
    )
    source = "Kaufman et al., Leakage in Data Mining, ACM TKDD 2012."

    def look(self, audit: Observed) -> Outcome:
        """See :class:`Check`."""
        found = audit.summary.scale
        if not audit.summary.n:
            return NotRun("No clip was scored.")
        told = (
            f"Deviations of the clips are {found.lowest:g} to {found.highest:g} times the model's."
        )
        if found.lowest >= 1 - NEAR and found.highest <= 1 + NEAR:
            return Raised(told, self.remedy)
        return Clear(told)
