"""Without noise of its size nobody knows what of an attack's success is the attacker's work."""

from models.audit.checks.check import CHECKS, Check
from models.audit.checks.observed import Observed
from models.audit.checks.outcome import Clear, NotRun, Outcome, Raised
from models.audit.checks.patches import attack, with_attacks


@CHECKS.register("no_control")
class NoControl(Check):
    """An attack's strength has no noise beside it."""

    id = "no_control"
    title = "No noise of the same size to hold the attack against"
    severity = "weak"
    reads = "attacks of the request"
    raised_if = "noise of the same threat model is missing at some strength of an attack"
    remedy = "Add noise of the same strengths."
    source = "Carlini et al., On Evaluating Adversarial Robustness, 2019, Sec. 5.1."

    def look(self, audit: Observed) -> Outcome:
        """See :class:`Check`."""
        if not audit.adversaries:
            return NotRun("No attack was scored.")
        noise = [n for n, one in enumerate(audit.attacks) if one.control]
        missing = {
            threat: [
                strength
                for strength in audit.strengths(list(audit.adversaries), threat)
                if strength not in set(audit.strengths(noise, threat))
            ]
            for threat in audit.threats
        }
        missing = {threat: strengths for threat, strengths in missing.items() if strengths}
        if not missing:
            return Clear("Every strength of every attack has noise of its size.")
        told = "; ".join(
            f"{threat.domain} {threat.norm} at {', '.join(f'{one:g}' for one in strengths)}"
            f" {threat.unit}"
            for threat, strengths in missing.items()
        )
        added = [attack("noise", threat, strengths) for threat, strengths in missing.items()]
        return Raised(f"Without noise: {told}.", self.remedy, with_attacks(audit, *added))
