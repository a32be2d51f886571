"""Attack success rate."""

from typing import ClassVar

import numpy as np

from models.audit.intervals import Bools
from models.audit.measures.measure import MEASURES, Share, Where
from models.audit.table import Table


@MEASURES.register("success_rate")
class SuccessRate(Share):
    """P(the attack reaches its goal | the model was right before).

    Of labelled clips, or of all if none has a label: then the clean prediction is the truth.
    """

    name = "success_rate"
    definition = "Share of the clips that were right before on which the attack reached its goal."
    formula = "P(ŷ′ ≠ y | ŷ = y); with a target label t: P(ŷ′ = t | ŷ = y, y ≠ t)"
    source = (
        "Carlini et al., On Evaluating Adversarial Robustness, 2019, Sec. 4.3. Foolbox's and ART's"
        " success counts clips that were wrong before as well: see wrong_after and flip_rate."
    )
    taken_of: ClassVar[tuple[Where, ...]] = ("point", "worst_case")

    def of(self, clips: Table) -> Bools:
        """See :class:`Share`."""
        return clips.counted & (clips.success >= 0)

    def counted(self, clips: Table) -> Bools:
        """See :class:`Share`."""
        return np.equal(clips.success, 1)
