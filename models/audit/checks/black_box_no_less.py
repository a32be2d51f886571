"""Who sees less of the model does no less."""

from models.audit.checks.check import CHECKS, Check
from models.audit.checks.observed import Observed, is_black_box, sees_gradients
from models.audit.checks.outcome import Outcome
from models.audit.checks.overlaps import outdone


@CHECKS.register("black_box_no_less")
class BlackBoxNoLess(Check):
    """Attacks without the gradient break what those with it do not."""

    id = "black_box_no_less"
    title = "A black-box or transferred attack breaks no fewer clips than those with gradients"
    severity = "weak"
    reads = "clips that are broken at the same strength, of those that were right before"
    raised_if = (
        "attacks that see scores alone, or another model, alone break more than a hundredth of the"
        " clips, and no fewer than gradient attacks alone do"
    )
    remedy = (
        "Give the gradient attack more steps, restarts and another loss, and see whether the"
        " gradient is masked: the worst case is not found."
    )
    source = (
        "Athalye et al., Obfuscated Gradients Give a False Sense of Security, ICML 2018, Sec. 3.1."
    )

    def look(self, audit: Observed) -> Outcome:
        """See :class:`Check`."""
        blind, seeing = audit.which(is_black_box), audit.which(sees_gradients)
        return outdone(
            audit,
            blind,
            seeing,
            ("a black box", "gradients"),
            absent="No black-box attack and gradient attack share a threat model and a strength.",
            remedy=self.remedy,
        )
