"""Brier score."""

from typing import ClassVar

from models.audit.intervals import Bools, Floats
from models.audit.measures.measure import MEASURES, Mean, Where
from models.audit.table import Table


@MEASURES.register("brier")
class Brier(Mean):
    """Mean squared error of the scores, over all classes."""

    name = "brier"
    definition = (
        "Brier score of the clips with a label: squared error of the scores, summed over the"
        " emotions; 0 is best and 2 worst."
    )
    formula = "mean of Σₖ (pₖ − [y = k])²"
    source = (
        "Brier, Verification of forecasts expressed in terms of probability, Monthly Weather Review"
        " 1950, Eq. 2. scikit-learn's brier_score_loss of several classes, unscaled."
    )
    taken_of: ClassVar[tuple[Where, ...]] = ("clean", "point")

    def of(self, clips: Table) -> Bools:
        """See :class:`Mean`."""
        return clips.labelled

    def values(self, clips: Table) -> Floats:
        """See :class:`Mean`."""
        return clips.squared_error
