"""Attack success, a clip that the model's detector notices not counted as broken."""

from typing import ClassVar

import numpy as np

from models.audit.intervals import Bools
from models.audit.measures.measure import MEASURES, Share
from models.audit.table import Table


@MEASURES.register("unnoticed_rate")
class UnnoticedRate(Share):
    """P(the attack reaches its goal and the detector gives no alarm | the model was right before).

    Beside ``success_rate``, never in its place: a detector has false alarms, and an attack that
    knows it may pass.
    """

    name = "unnoticed_rate"
    definition = (
        "`success_rate` with a detected clip counted as not broken: share of the clips that were"
        " right before on which the attack reached its goal without an alarm. Read it beside the"
        " false alarms, `alarm_rate` of the clean clips: a detector that always gives an alarm"
        " lets nothing pass. The attacks of an audit do not know the detector; for one that does"
        " see the figures of the detector's training. Only of audits with `detector`."
    )
    formula = "P(ŷ′ ≠ y, s′ ≤ t | ŷ = y); with a target label as success_rate"
    source = "Carlini & Wagner, Adversarial Examples Are Not Easily Detected, AISec 2017."
    of_detector: ClassVar[bool] = True

    def of(self, clips: Table) -> Bools:
        """See :class:`Share`."""
        return clips.counted & (clips.success >= 0)

    def counted(self, clips: Table) -> Bools:
        """See :class:`Share`."""
        return np.equal(clips.success, 1) & ~clips.alarms
