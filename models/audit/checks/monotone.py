"""A stronger attacker does less."""

from collections import defaultdict
from itertools import pairwise

from models.audit.checks.check import CHECKS, Check
from models.audit.checks.observed import Observed
from models.audit.checks.outcome import Clear, NotRun, Outcome, Raised
from models.audit.result import WorstCase


@CHECKS.register("monotone")
class Monotone(Check):
    """The worst case gets better with the strength."""

    id = "monotone"
    title = "The worst case is not monotone in the strength"
    severity = "invalid"
    reads = "`worst_case` of the result"
    raised_if = (
        "of the same clips and threat model, the worst case at a stronger strength has a lower"
        " success rate than at a weaker one"
    )
    remedy = (
        "Do not rely on the worst case, and report it as a defect: whatever a weaker attack breaks,"
        " a stronger attacker may break the same way."
    )
    source = "Carlini et al., On Evaluating Adversarial Robustness, 2019, Sec. 4.3."

    def look(self, audit: Observed) -> Outcome:
        """See :class:`Check`."""
        by_threat: dict[str, list[WorstCase]] = defaultdict(list)
        for case in audit.summary.worst_case:
            if case.success_rate is not None:
                by_threat[f"{case.threat.domain} {case.threat.norm}"].append(case)
        compared = 0
        for cases in by_threat.values():  # from the weakest strength to the strongest
            for weaker, stronger in pairwise(cases):
                if (weaker.n, weaker.right_before) != (stronger.n, stronger.right_before):
                    continue  # an audit that ended early
                compared += 1
                if (stronger.success_rate or 0.0) < (weaker.success_rate or 0.0):
                    return Raised(
                        f"Success is {weaker.success_rate:.3f} at {weaker.strength:g}"
                        f" {weaker.threat.unit} and {stronger.success_rate:.3f} at"
                        f" {stronger.strength:g}.",
                        self.remedy,
                    )
        if not compared:
            return NotRun("No threat model has a worst case at two strengths.")
        return Clear(f"Success never falls, in {compared} steps from a strength to the next.")
