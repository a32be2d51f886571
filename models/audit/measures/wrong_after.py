"""Robust error."""

from typing import ClassVar

from models.audit.intervals import Bools
from models.audit.measures.measure import MEASURES, Share, Where
from models.audit.table import Table


@MEASURES.register("wrong_after")
class WrongAfter(Share):
    """P(the model is wrong under the attack), whether or not it was right before."""

    name = "wrong_after"
    definition = "Share of the attacked clips with a label on which the model is wrong."
    formula = "P(ŷ′ ≠ y)"
    source = (
        "One minus the robust accuracy of RobustBench (Croce et al., NeurIPS Datasets and"
        " Benchmarks 2021); what Foolbox calls is_adv, averaged over all clips."
    )
    taken_of: ClassVar[tuple[Where, ...]] = ("point", "worst_case")

    def of(self, clips: Table) -> Bools:
        """See :class:`Share`."""
        return clips.labelled & ~clips.left_alone

    def counted(self, clips: Table) -> Bools:
        """See :class:`Share`."""
        return ~clips.right
