"""Flip rate."""

import numpy as np

from models.audit.intervals import Bools
from models.audit.measures.measure import MEASURES, Share
from models.audit.table import Table


@MEASURES.register("flip_rate")
class FlipRate(Share):
    """P(the prediction changes), right or wrong."""

    name = "flip_rate"
    definition = "Share of all clips whose prediction the attack changed, right or wrong."
    formula = "P(ŷ′ ≠ ŷ)"
    source = "What ART's compute_success counts without labels (Nicolae et al., 2018)."

    def of(self, clips: Table) -> Bools:
        """See :class:`Share`."""
        return clips.clip >= 0

    def counted(self, clips: Table) -> Bools:
        """See :class:`Share`."""
        return np.not_equal(clips.after, clips.before)
