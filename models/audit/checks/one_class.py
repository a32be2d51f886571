"""The model says one emotion, whatever it hears."""

from typing import Final

import numpy as np

from models.audit.checks.check import CHECKS, Check
from models.audit.checks.observed import Observed
from models.audit.checks.outcome import Clear, NotRun, Outcome, Raised

MOST: Final = 0.8


@CHECKS.register("one_class")
class OneClass(Check):
    """One class takes nearly all clean predictions."""

    id = "one_class"
    title = "The model gives one emotion for nearly all clips"
    severity = "invalid"
    reads = "clean predictions"
    raised_if = (
        "more than 80 % of the clean predictions are of one emotion; every emotion's clips count"
        " the same, so that a corpus of one emotion above all does not raise it"
    )
    remedy = (
        "Audit a model that tells the emotions of this speech apart: what always says the same"
        " looks robust."
    )

    def look(self, audit: Observed) -> Outcome:
        """See :class:`Check`."""
        clips = audit.clean
        if not len(clips):
            return NotRun("No clip was scored.")
        labelled = bool(clips.labelled.any())
        clips = clips.where(clips.labelled) if labelled else clips
        truth = clips.truth if labelled else np.zeros_like(clips.truth)
        emotions = np.unique(truth)
        if labelled and len(emotions) == 1:
            return NotRun("The clips are of one emotion, which a good model gives, too.")
        said = [
            np.bincount(clips.after[truth == one], minlength=len(clips.labels)) for one in emotions
        ]
        each = np.mean([one / one.sum() for one in said], axis=0)
        most = int(each.argmax())
        told = f"{clips.labels[most]} takes {each[most]:.0%} of the clean predictions."
        return Raised(told, self.remedy) if each[most] > MOST else Clear(told)
