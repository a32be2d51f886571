"""What an attack does beyond noise of the same size."""

from typing import ClassVar

import numpy as np

from models.audit.figure import Figure, of_sums
from models.audit.intervals import Floats, Units, newcombe, ratio
from models.audit.measures.measure import MEASURES, Measure, Where
from models.audit.table import Table


@MEASURES.register("over_control")
class OverControl(Measure):
    """Success of the attack minus that of noise with the same threat model and strength."""

    name = "over_control"
    definition = (
        "Success rate minus that of the noise of the same threat model and strength (see"
        " `control`), both of the clips that count for both. Null without such noise. Where the"
        " attack has a target, noise succeeds where it reaches that. Of noise with several draws"
        " the worst of each clip counts, as in its own row."
    )
    formula = "P(success | ŷ = y) − P(success of noise | ŷ = y), paired by clip"
    source = "Difference of paired shares; speakers are drawn, each with both outcomes."
    taken_of: ClassVar[tuple[Where, ...]] = ("point", "worst_case")

    def figure(self, clips: Table) -> Figure:
        """See :class:`Measure`."""
        control = np.full(len(clips), -1) if clips.control is None else clips.control
        both = clips.counted & (clips.success >= 0) & (control >= 0)
        success, noise = clips.success[both], control[both]
        units = Units.speakers(clips.speaker[both])
        cells = units.cells(success * 2 + noise, 4)

        def difference(sums: Floats) -> Floats:
            return ratio(sums[..., 2] - sums[..., 1], sums.sum(axis=-1))

        same = newcombe(int(success.sum()), int(noise.sum()), len(success))
        return of_sums(units, cells, difference, clips.speaker[both], same=(same, "newcombe"))
