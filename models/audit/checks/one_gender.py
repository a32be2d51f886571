"""What is found is about women, or about men."""

import numpy as np

from models.audit.checks.check import CHECKS, Check
from models.audit.checks.observed import Observed
from models.audit.checks.outcome import Clear, NotRun, Outcome, Raised
from models.audit.checks.patches import more_clips
from models.corpus.remarks import GENDERS


@CHECKS.register("one_gender")
class OneGender(Check):
    """All speakers are of one gender."""

    id = "one_gender"
    title = "All speakers are of one gender"
    severity = "note"
    reads = "genders of the clips' speakers"
    raised_if = "there are several speakers, and all are of one gender"
    remedy = "Audit clips of women and men, or say whom the figures are about."

    def look(self, audit: Observed) -> Outcome:
        """See :class:`Check`."""
        clips = audit.clean
        if not len(clips) or bool((clips.gender < 0).any()):
            return NotRun("The gender of some speakers is not known.")
        names = list(audit.columns.genders.known)
        found = [names[number] for number in np.unique(clips.gender).tolist()]
        if len(found) == 1 and len(np.unique(clips.speaker)) > 1:
            told = f"All speakers are {GENDERS.get(found[0], found[0])}."
            return Raised(told, self.remedy, more_clips(audit))
        return Clear(f"Speakers are {' and '.join(GENDERS.get(one, one) for one in found)}.")
