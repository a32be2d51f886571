"""One step does no less than many."""

from models.audit.checks.check import CHECKS, Check
from models.audit.checks.observed import Observed, is_iterative, is_single_step
from models.audit.checks.outcome import Outcome
from models.audit.checks.overlaps import outdone


@CHECKS.register("single_step")
class SingleStep(Check):
    """FGSM breaks what an iterative attack does not."""

    id = "single_step"
    title = "A single step breaks no fewer clips than an iterative attack"
    severity = "weak"
    reads = "clips that are broken at the same strength, of those that were right before"
    raised_if = (
        "single-step attacks alone break more than a hundredth of the clips, and no fewer than"
        " iterative attacks alone do"
    )
    remedy = (
        "Give the iterative attack more steps and restarts, and another loss: it does not reach"
        " what one step does, so the worst case is not found."
    )
    source = (
        "Athalye et al., Obfuscated Gradients Give a False Sense of Security, ICML 2018, Sec. 3.1."
    )

    def look(self, audit: Observed) -> Outcome:
        """See :class:`Check`."""
        single, walks = audit.which(is_single_step), audit.which(is_iterative)
        return outdone(
            audit,
            single,
            walks,
            ("one step", "iterative attacks"),
            absent="No single-step and iterative attack share a threat model and a strength.",
            remedy=self.remedy,
        )
