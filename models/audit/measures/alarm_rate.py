"""How often the model's detector gives an alarm."""

from typing import ClassVar

from models.audit.intervals import Bools
from models.audit.measures.measure import MEASURES, Share, Where
from models.audit.table import Table


@MEASURES.register("alarm_rate")
class AlarmRate(Share):
    """P(the detector takes a clip for attacked)."""

    name = "alarm_rate"
    definition = (
        "Share of the clips that the model's detector takes for attacked: of clean clips its false"
        " alarms, under an attack its true-positive rate. Only of audits with `detector`."
    )
    formula = "P(s > t), of the detector's scores s and its threshold t"
    source = "Metzen et al., On Detecting Adversarial Perturbations, ICLR 2017."
    taken_of: ClassVar[tuple[Where, ...]] = ("clean", "point")
    of_detector: ClassVar[bool] = True

    def of(self, clips: Table) -> Bools:
        """See :class:`Share`."""
        return ~clips.left_alone

    def counted(self, clips: Table) -> Bools:
        """See :class:`Share`."""
        return clips.alarms
