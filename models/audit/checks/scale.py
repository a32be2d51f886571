"""The deviations that an ε counts are not those of these clips."""

from typing import Final

from models.audit.checks.check import CHECKS, Check
from models.audit.checks.observed import Observed
from models.audit.checks.outcome import Clear, Outcome, Raised

LIKE: Final = (0.5, 2.0)
"""Of `scale`, the median band: CREMA-D's starters find 1.05 in CREMA-D, 1.25 in EMO-DB, and .7
in a single clip."""
BANDS_LIKE: Final = (0.1, 10.0)
"""All of them: those find .23 in a band of a single clip, and 3.3 in EMO-DB's lowest bands."""


@CHECKS.register("scale")
class Scale(Check):
    """The clips vary much more, or much less, than the model states."""

    id = "scale"
    title = "The clips vary otherwise than the model's configuration states"
    severity = "weak"
    reads = "`scale` of the result, where an attack changes log-mels"
    raised_if = "the median band is not within .5 to 2, or some band not within .1 to 10"
    remedy = (
        "Do not compare the model's robustness with that of other models at the same ε: the model"
        " was trained on speech that varies otherwise, or states what is not so. Attacks on"
        " waveforms do not depend on it."
    )

    def look(self, audit: Observed) -> Outcome:
        """See :class:`Check`."""
        found = audit.summary.scale
        told = (
            "An ε of log-mels counts the deviations that the model's configuration states, and"
            f" these clips deviate by {found.median:g} of them in the median band, {found.lowest:g}"
            f" to {found.highest:g} (scale in the result)."
        )
        if all(threat.domain != "features" for threat in audit.threats) or (
            LIKE[0] <= found.median <= LIKE[1]
            and BANDS_LIKE[0] <= found.lowest
            and found.highest <= BANDS_LIKE[1]
        ):
            return Clear(told)
        return Raised(told, self.remedy)
