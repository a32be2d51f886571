"""Noise does what the attack does."""

from models.attacks import Attack
from models.audit.checks.check import CHECKS, Check
from models.audit.checks.observed import Observed
from models.audit.checks.outcome import Outcome
from models.audit.checks.overlaps import outdone


@CHECKS.register("noise_no_less")
class NoiseNoLess(Check):
    """Noise breaks what the attacks do not."""

    id = "noise_no_less"
    title = "Noise of the same size breaks no fewer clips than the attacks"
    severity = "weak"
    reads = "clips that are broken at the same strength, of those that were right before"
    raised_if = (
        "noise alone breaks more than a hundredth of the clips, and no fewer than all attacks of"
        " the threat model alone do"
    )
    remedy = (
        "Give the attack more steps, or another loss: whoever changes the clip at random must not"
        " do better than one who knows the model."
    )
    source = "Carlini et al., On Evaluating Adversarial Robustness, 2019, Sec. 5.1."

    def look(self, audit: Observed) -> Outcome:
        """See :class:`Check`."""
        noise = [
            number
            for number, one in enumerate(audit.attacks)
            if isinstance(one, Attack) and one.control
        ]
        return outdone(
            audit,
            noise,
            list(audit.adversaries),
            ("noise", "the attacks"),
            absent="No noise of an attack's threat model and strength was scored.",
            remedy=self.remedy,
            restarts=1,
        )
