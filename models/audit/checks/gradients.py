"""An attack had nothing to go by: what looks robust may not be."""

from models.audit.checks.check import CHECKS, Check
from models.audit.checks.observed import Observed, sees_gradients
from models.audit.checks.outcome import Clear, NotRun, Outcome, Raised
from models.audit.checks.patches import QUERIES, attack, with_attacks
from models.threats import ThreatModel


@CHECKS.register("gradients")
class Gradients(Check):
    """Gradients that are zero, not finite or exploding."""

    id = "gradients"
    title = "Gradients are zero, not finite or exploding"
    severity = "weak"
    reads = "`no_direction` of the curve, and gradients at a few clean clips"
    raised_if = (
        "an attack had nothing to go by on some clip, or the gradient at one of the clips that were"
        " looked at is zero, holds a value that is not finite, or one beyond 1e6"
    )
    remedy = (
        "Divide the weights and the bias of its last layer by a constant, say 100, which changes no"
        " label, and audit that; or ask for an attack that needs scores alone (square)."
    )
    source = (
        "Athalye et al., Obfuscated Gradients Give a False Sense of Security, ICML 2018, Sec. 3."
    )

    def look(self, audit: Observed) -> Outcome:
        """See :class:`Check`."""
        if not audit.adversaries:
            return NotRun("No attack was scored.")
        curve = audit.summary.curve
        worst = max(curve, key=lambda point: point.no_direction)
        probe = audit.probed
        if worst.no_direction:
            kind = audit.summary.attacks[worst.attack]
            told = (
                f"On {worst.no_direction} of {worst.n} clips {kind.type} had nothing to go by at"
                f" {worst.strength:g} {kind.threat.unit} (no_direction in the curve): its gradient"
                " was zero or not finite, as where a model's scores are saturated, or the clip is"
                " digital silence. Success rates understate how weak the model is, also those that"
                " harden goes by."
            )
            return Raised(told, self.remedy, _square(audit))
        told = (
            f"Of {probe.clips} clips, the gradient is zero on {probe.zero}, not finite on"
            f" {probe.not_finite} and beyond 1e6 on {probe.exploding}; its largest value is"
            f" {probe.largest_gradient:.2g}."
        )
        if probe.zero or probe.not_finite or probe.exploding:
            return Raised(told, self.remedy, _square(audit))
        return Clear(told)


def _square(audit: Observed) -> dict[str, object] | None:
    """A search by scores at the strongest strength of each threat model."""
    seen = audit.which(sees_gradients)
    strongest: dict[ThreatModel, float] = {
        threat: strengths[-1]
        for threat in audit.threats
        if (strengths := audit.strengths(seen, threat))
    }
    added = [
        attack("square", threat, [strength], queries=QUERIES)
        for threat, strength in strongest.items()
    ]
    return with_attacks(audit, *added) if added else None
