"""A single clip moves the recall of an emotion much."""

from typing import Final

import numpy as np

from models.audit.checks.check import CHECKS, Check
from models.audit.checks.observed import Observed
from models.audit.checks.outcome import Clear, NotRun, Outcome, Raised
from models.audit.checks.patches import more_clips
from models.corpus.remarks import FEWEST_CLIPS

MOST_NAMED: Final = 8


@CHECKS.register("few_clips_of_a_class")
class FewClipsOfAClass(Check):
    """An emotion with a handful of clips weighs as much in the UAR as any other."""

    id = "few_clips_of_a_class"
    title = "An emotion has a handful of clips"
    severity = "weak"
    reads = "labels of the clips"
    raised_if = "an emotion that the model knows has 1 to 4 clips, or only one emotion has clips"
    remedy = "Audit more clips, or leave the emotion out of the corpus."

    def look(self, audit: Observed) -> Outcome:
        """See :class:`Check`."""
        clips = audit.clean
        if not bool(clips.labelled.any()):
            return NotRun("No clip has a label.")
        counts = np.bincount(clips.truth[clips.labelled], minlength=len(clips.labels)).tolist()
        there = {name: n for name, n in zip(clips.labels, counts, strict=True) if n}
        few = {name: n for name, n in there.items() if n < FEWEST_CLIPS}
        if few:
            named = ", ".join(f"{name} ({n})" for name, n in list(few.items())[:MOST_NAMED])
            more = "" if len(few) <= MOST_NAMED else f" and {len(few) - MOST_NAMED} more"
            told = f"Fewer than {FEWEST_CLIPS} clips: {named}{more}."
            return Raised(told, self.remedy, more_clips(audit))
        if len(there) == 1:
            told = f"All clips are of {next(iter(there))}."
            return Raised(told, self.remedy, more_clips(audit))
        return Clear(f"Each of {len(there)} emotions has at least {min(there.values())} clips.")
