"""What is found is about one voice."""

from models.audit.checks.check import CHECKS, Check
from models.audit.checks.observed import Observed
from models.audit.checks.outcome import Clear, NotRun, Outcome, Raised
from models.audit.checks.patches import more_clips
from models.audit.intervals import n_speakers


@CHECKS.register("one_speaker")
class OneSpeaker(Check):
    """All clips are of one speaker."""

    id = "one_speaker"
    title = "All clips are of one speaker"
    severity = "weak"
    reads = "speakers of the clips"
    raised_if = "there is one speaker"
    remedy = "Audit clips of several speakers: what one voice tells is about that voice."

    def look(self, audit: Observed) -> Outcome:
        """See :class:`Check`."""
        speakers = n_speakers(audit.clean.speaker)
        if speakers is None or not len(audit.clean):
            return NotRun("The speakers of some clips are not known.")
        if speakers == 1:
            return Raised("There is one speaker.", self.remedy, more_clips(audit))
        return Clear(f"There are {speakers} speakers.")
