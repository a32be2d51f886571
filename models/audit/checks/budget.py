"""What was written is farther from the clip than was allowed."""

from models.audit.checks.check import CHECKS, Check
from models.audit.checks.observed import Observed
from models.audit.checks.outcome import Clear, NotRun, Outcome, Raised


@CHECKS.register("budget")
class Budget(Check):
    """Adversarial inputs break their budget."""

    id = "budget"
    title = "An adversarial input is outside of its budget"
    severity = "invalid"
    reads = "the files of the adversarial inputs that are kept, read back"
    raised_if = (
        "one of them is farther from its clip than its strength allows, beyond the rounding of a"
        " float32, and of 16 bits in a waveform"
    )
    remedy = "Do not rely on the success rates, and report it as a defect of the audit."
    source = "Carlini et al., On Evaluating Adversarial Robustness, 2019, Sec. 4.2."

    def look(self, audit: Observed) -> Outcome:
        """See :class:`Check`."""
        if not audit.adversaries:
            return NotRun("No attack was scored.")
        written = audit.written
        if written is None or not written.inputs:
            asked = audit.request.get("save_adversarial", True)
            return NotRun(
                "No adversarial input was kept.",
                "" if asked else "Keep them.",
                None if asked else {"save_adversarial": True},
            )
        told = f"{written.beyond} of {written.inputs} inputs that were read back."
        if not written.beyond:
            return Clear(told)
        told = f"{told[:-1]}, at worst at {written.worst:.4g} times the radius."
        return Raised(told, self.remedy)
