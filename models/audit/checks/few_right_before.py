"""There is little that an attack could break."""

from typing import Final

from models.audit.checks.check import CHECKS, Check
from models.audit.checks.observed import Observed
from models.audit.checks.outcome import Clear, Outcome, Raised
from models.audit.checks.patches import more_clips

FEWEST: Final = 50


@CHECKS.register("few_right_before")
class FewRightBefore(Check):
    """Success is a share of few clips."""

    id = "few_right_before"
    title = "Few clips were right before the attack"
    severity = "weak"
    reads = "clean predictions"
    raised_if = "fewer than 50 clips that success is counted over were right before the attack"
    remedy = "Audit more clips: of 50, a success rate is known to about ±14 points."

    def look(self, audit: Observed) -> Outcome:
        """See :class:`Check`."""
        clips = audit.clean
        right = int((clips.right_before & clips.counted).sum())
        told = f"{right} of {len(clips)} clips were right before."
        if right < FEWEST:
            return Raised(told, self.remedy, more_clips(audit))
        return Clear(told)
