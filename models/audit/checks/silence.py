"""The model hears what no microphone gives."""

from typing import Final

from models.audit.checks.check import CHECKS, Check
from models.audit.checks.observed import Observed
from models.audit.checks.outcome import Clear, NotRun, Outcome, Raised

MOST: Final = 0.05


@CHECKS.register("digital_silence")
class DigitalSilence(Check):
    """Digital silence, or bands at the logarithm's floor, in many clips."""

    id = "digital_silence"
    title = "Many clips hold digital silence, or lie at the log floor"
    severity = "weak"
    reads = "log-mels of all clips, as the model's front end gives them"
    raised_if = (
        "in more than 5 % of the clips there is a frame of which half of the mel bands lie at"
        " ln(1e-8), the floor of the logarithm"
    )
    remedy = (
        "Audit a model whose front end has a floor of its own (logmel-2), or recordings without"
        " zeros: at the floor a front end is five to nine deviations from speech, and predictions"
        " follow the silence."
    )

    def look(self, audit: Observed) -> Outcome:
        """See :class:`Check`."""
        probe = audit.probed
        if not probe.heard_clips:
            return NotRun("No clip was looked at.")
        share = probe.floor_clips / probe.heard_clips
        told = f"{probe.floor_clips} of {probe.heard_clips} clips ({share:.0%})."
        return Raised(told, self.remedy) if share > MOST else Clear(told)
