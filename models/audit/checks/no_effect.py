"""The attack did nothing to the model."""

from typing import Final

from models.audit.checks.check import CHECKS, Check
from models.audit.checks.observed import Observed, sees_gradients
from models.audit.checks.outcome import Clear, NotRun, Outcome, Raised
from models.audit.checks.patches import QUERIES, STEPS, attack, with_attacks
from models.audit.table import Table
from models.threats import ThreatModel

MOST: Final = 0.5


@CHECKS.register("no_effect")
class NoEffect(Check):
    """The strongest gradient attack did not raise the loss."""

    id = "no_effect"
    title = "The attack changed nothing, or the loss did not rise"
    severity = "invalid"
    reads = "the true label's score before and under the gradient attacks, at their strongest"
    raised_if = (
        "on more than half of the clips that were right before, no gradient attack of a threat"
        " model lowers the true label's score"
    )
    remedy = (
        "See whether the gradient reaches the input (a rounding or a detached tensor stops it), and"
        " ask for an attack on another loss and for one that needs scores alone."
    )
    source = (
        "Carlini et al., On Evaluating Adversarial Robustness, 2019, Sec. 4.6: what an attack"
        " maximises must rise."
    )

    def look(self, audit: Observed) -> Outcome:
        """See :class:`Check`."""
        numbers = audit.which(lambda one: sees_gradients(one) and one.goal == "untargeted")
        told: list[str] = []
        idle: list[ThreatModel] = []
        for threat in audit.threats:
            found = _unmoved(audit, numbers, threat)
            if found is None:
                continue
            unmoved, of, strength = found
            told.append(
                f"at {strength:g} {threat.unit} the loss rose on {of - unmoved} of {of} clips that"
                " were right before"
            )
            if unmoved > MOST * of:
                idle.append(threat)
        if not told:
            return NotRun(
                "No gradient attack without a target was scored on a clip that was right."
            )
        text = "; ".join(told)
        text = f"{text[0].upper()}{text[1:]}."
        if not idle:
            return Clear(text)
        added = [
            attack(type_, threat, audit.strengths(numbers, threat)[-1:], **parameters)
            for threat in idle
            for type_, parameters in (
                ("pgd", {"steps": STEPS, "loss": "margin"}),
                ("square", {"queries": QUERIES}),
            )
        ]
        return Raised(text, self.remedy, with_attacks(audit, *added))


def _unmoved(
    audit: Observed, numbers: list[int], threat: ThreatModel
) -> tuple[int, int, float] | None:
    """Of the clips that were right before, those whose loss no attack raised at the strongest
    strength, how many there are, and that strength; None where nothing was scored."""
    strengths = audit.strengths(numbers, threat)
    if not strengths:
        return None
    rose: set[int] = set()
    seen: set[int] = set()
    for number in numbers:
        place = audit.places.get((number, strengths[-1]))
        if place is None or audit.attacks[number].threat != threat:
            continue
        point: Table = audit.columns.point(place)
        right = point.where(point.right_before & point.counted)
        seen.update(right.clip.tolist())
        rose.update(right.clip[right.truth_score < right.truth_score_before].tolist())
    return (len(seen - rose), len(seen), strengths[-1]) if seen else None
