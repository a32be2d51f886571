"""The audit ended before everything was scored."""

from models.audit.checks.check import CHECKS, Check
from models.audit.checks.observed import Observed
from models.audit.checks.outcome import Clear, Outcome, Raised


@CHECKS.register("incomplete")
class Incomplete(Check):
    """Figures of a part of the clips."""

    id = "incomplete"
    title = "The audit ended before everything was scored"
    severity = "weak"
    reads = "`complete` of the result"
    raised_if = "it ended at its max_seconds"
    remedy = "Give it the time that it needs: its clips are the first ones, not a random part."

    def look(self, audit: Observed) -> Outcome:
        """See :class:`Check`."""
        found = audit.summary
        told = f"{found.n} of {found.of} clips have a row."
        if found.complete:
            return Clear(told)
        return Raised(told, self.remedy, {"max_seconds": None})
