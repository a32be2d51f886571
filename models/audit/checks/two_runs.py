"""The same clip gets another answer."""

from models.audit.checks.check import CHECKS, Check
from models.audit.checks.observed import Observed
from models.audit.checks.outcome import Clear, NotRun, Outcome, Raised


@CHECKS.register("two_runs")
class TwoRuns(Check):
    """Answers differ between two runs."""

    id = "two_runs"
    title = "The model's answers differ between two runs"
    severity = "invalid"
    reads = "a second run of a few clean clips"
    raised_if = "a clip has another label, or a score differs by more than .001"
    remedy = (
        "Switch off what draws at random in the model (dropout, dithering), or state float32: an"
        " attack follows the draw, and its answer is another one when it is scored."
    )
    source = "Carlini et al., On Evaluating Adversarial Robustness, 2019, Sec. 3.5 and 4.7."

    def look(self, audit: Observed) -> Outcome:
        """See :class:`Check`."""
        probe = audit.probed
        if not probe.clips:
            return NotRun("No clip was scored.")
        told = (
            f"{probe.again} of {probe.clips} clips; the largest difference of a score is"
            f" {probe.largest_difference:.1g}."
        )
        if not probe.again:
            return Clear(told)
        rounded = audit.request.get("precision") == "tf32"
        return Raised(told, self.remedy, {"precision": "float32"} if rounded else None)
