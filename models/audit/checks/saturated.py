"""The scores leave an attack nothing to climb."""

from typing import Final

from models.audit.checks.check import CHECKS, Check
from models.audit.checks.observed import Observed, sees_gradients
from models.audit.checks.outcome import Clear, NotRun, Outcome, Raised
from models.audit.checks.patches import QUERIES, attack, with_attacks

SATURATED: Final = 1 - 1e-6
MOST: Final = 0.5


@CHECKS.register("saturated")
class Saturated(Check):
    """Softmaxes at 1, or probabilities where logits are expected."""

    id = "saturated"
    title = "Scores are saturated, or the model gives probabilities for logits"
    severity = "weak"
    reads = "clean scores of all clips, and logits of a few"
    raised_if = (
        "the predicted emotion has a score of at least 1 - 1e-6 on more than half of the clips, or"
        " the logits of all clips that were looked at lie in [0, 1] and add up to 1"
    )
    remedy = (
        "Take the softmax off the network, or divide the weights and the bias of its last layer by"
        " a constant, which changes no label; or ask for an attack that needs scores alone, as"
        " square does."
    )
    source = "Carlini & Wagner, Defensive Distillation is Not Robust to Adversarial Examples, 2016."

    def look(self, audit: Observed) -> Outcome:
        """See :class:`Check`."""
        if not len(audit.clean):
            return NotRun("No clip was scored.")
        probe = audit.probed
        share = float((audit.clean.confidence >= SATURATED).mean())
        squashed = probe.clips > 0 and probe.like_probabilities == probe.clips
        told = (
            f"{share:.0%} of the clips have a score of 1; the logits of {probe.like_probabilities}"
            f" of {probe.clips} clips are probabilities."
        )
        if share <= MOST and not squashed:
            return Clear(told)
        seen = audit.which(sees_gradients)
        added = [
            attack("square", threat, strengths, queries=QUERIES)
            for threat in audit.threats
            if (strengths := audit.strengths(seen, threat))
        ]
        return Raised(told, self.remedy, with_attacks(audit, *added) if added else None)
