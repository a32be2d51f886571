"""The model knows nothing of the emotions of these clips."""

import math
from typing import Final

import numpy as np

from models.audit.checks.check import CHECKS, Check
from models.audit.checks.observed import Observed
from models.audit.checks.outcome import Clear, NotRun, Outcome, Raised
from models.audit.intervals import Floats
from models.audit.table import Table

FAR: Final = 3.09
"""Standard deviations above chance that a model must be: a model that guesses is beyond them in one
audit of a thousand."""


@CHECKS.register("at_chance")
class AtChance(Check):
    """The clean predictions are no better than a guess."""

    id = "at_chance"
    title = "The model is at chance on the clean clips"
    version = 2
    severity = "invalid"
    reads = "clean predictions of the clips with a label"
    raised_if = (
        "the interval of the clean UAR holds chance, 1/K for K emotions with clips, or lies below;"
        " or the UAR is less than 3.09 standard deviations above that of the same predictions dealt"
        " out among the clips at random; where all clips are of one emotion, chance is 1, and it is"
        " not run"
    )
    remedy = "Audit a model that knows this speech: one that guesses cannot be broken."
    source = (
        "Moments of a linear permutation statistic: Hoeffding, A Combinatorial Central Limit"
        " Theorem, 1951."
    )

    def look(self, audit: Observed) -> Outcome:
        """See :class:`Check`."""
        clips = audit.clean.where(audit.clean.labelled)
        uar = audit.summary.clean.measures["uar"]
        if not len(clips) or uar.value is None:
            return NotRun("No clip has a label, so whether the model is right is not known.")
        emotions = np.unique(clips.truth)
        if len(emotions) == 1:
            only = clips.labels[emotions[0]]
            return NotRun(
                f"The clips are all of {only}, which a model that guesses may always say."
            )
        chance = 1 / len(emotions)
        above = beyond_chance(clips)
        low, high = uar.interval or (0.0, 1.0)
        told = (
            f"UAR is {uar.value:.2f} [{low:.2f}, {high:.2f}] where chance is {chance:.2f}, and"
            f" {above:.1f} standard deviations above the same predictions dealt out at random."
        )
        if low <= chance or above < FAR:
            return Raised(told, self.remedy)
        return Clear(told)


def beyond_chance(clips: Table) -> float:
    """How many standard deviations the UAR is above its mean over all ways to deal the same
    predictions out among the clips; 0 where all of them give the same."""
    classes = len(clips.labels)
    counts = np.bincount(clips.truth, minlength=classes).astype(np.float64)
    said = np.bincount(clips.after, minlength=classes).astype(np.float64)
    n, there = len(clips), counts > 0
    each: Floats = np.divide(1.0, counts, out=np.zeros(classes), where=there)
    expected = float((said * there).sum()) / n
    found = float((each[clips.truth] * (clips.truth == clips.after)).sum())
    # Hoeffding's variance of Σ c(truth, prediction), c doubly centred, by classes.
    rows, columns = said * each / n, there / n
    centred = np.diag(each) - rows[:, None] - columns[None, :] + expected / n
    variance = float((counts[:, None] * said[None, :] * centred**2).sum()) / max(1, n - 1)
    return (found - expected) / math.sqrt(variance) if variance > 1e-12 else 0.0
