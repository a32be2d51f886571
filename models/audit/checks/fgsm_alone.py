"""A single step is no evidence of robustness."""

from models.audit.checks.check import CHECKS, Check
from models.audit.checks.observed import Observed, is_single_step
from models.audit.checks.outcome import Clear, NotRun, Outcome, Raised
from models.audit.checks.patches import STEPS, attack, with_attacks
from models.threats import ThreatModel


@CHECKS.register("fgsm_alone")
class FgsmAlone(Check):
    """No attack goes beyond a single gradient step."""

    id = "fgsm_alone"
    title = "FGSM alone: no attack takes more than one step"
    severity = "weak"
    reads = "attacks of the request"
    raised_if = "all attacks of a threat model take a single gradient step"
    remedy = (
        "Add an iterative attack: adversarially trained models withstand FGSM and nothing else."
    )
    source = "Tramèr et al., Ensemble Adversarial Training, ICLR 2018, Sec. 4.1."

    def look(self, audit: Observed) -> Outcome:
        """See :class:`Check`."""
        alone: list[ThreatModel] = []
        for threat in audit.threats:
            own = audit.which(lambda one, threat=threat: one.threat == threat)  # type: ignore[misc]
            if all(is_single_step(audit.adversaries[number]) for number in own):
                alone.append(threat)
        if not audit.threats:
            return NotRun("No attack was scored.")
        if not alone:
            return Clear("Every threat model has an attack beyond a single step.")
        named = ", ".join(f"{threat.domain} {threat.norm}" for threat in alone)
        added = [
            attack("pgd", threat, strengths, steps=STEPS)
            for threat in alone
            if (strengths := audit.strengths(list(audit.adversaries), threat))
        ]
        return Raised(f"Of {named}.", self.remedy, with_attacks(audit, *added) if added else None)
