"""Whether an audit may be relied on, what it found, and what speaks against it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from app.audits.result import AuditResult
from models.audit.checks import CheckResult

UNJUDGED: Final = "not judged"
"""Of a report that was written before there were checks."""
MARKS: Final = {"sound": "✓", "weak": "▲", "invalid": "✕", UNJUDGED: "○"}
"""Before the word, so that it is not told by colour alone."""
MEANINGS: Final = {
    "sound": "no check speaks against relying on these figures",
    "weak": "look at the raised checks before you rely on these figures",
    "invalid": "nothing may be concluded from these figures",
    UNJUDGED: "this report was written before there were checks; audit again to have them",
}
NO_FINDING: Final = "No finding was written. The figures below stand."


@dataclass(frozen=True)
class Verdict:
    """The first two lines of a report, and the checks.

    Attributes:
        evidence: "sound", "weak", "invalid" or `UNJUDGED`.
        finding: one sentence.
        checks: every one that there is, those that speak loudest first.
    """

    evidence: str
    finding: str
    checks: Sequence[CheckResult]

    @property
    def mark(self) -> str:
        """Of the evidence."""
        return MARKS.get(self.evidence, "○")

    @property
    def meaning(self) -> str:
        """What the evidence's word says."""
        return MEANINGS.get(self.evidence, "")

    @property
    def raised(self) -> list[CheckResult]:
        """Checks that speak against the audit, the worst first."""
        return [one for one in self.checks if one.status == "raised"]

    @property
    def not_run(self) -> list[CheckResult]:
        """Checks that could not be run."""
        return [one for one in self.checks if one.status == "not_run"]

    @property
    def clear(self) -> list[CheckResult]:
        """Checks that found nothing."""
        return [one for one in self.checks if one.status == "clear"]

    @property
    def counted(self) -> str:
        """How many checks there are of each kind."""
        if not self.checks:
            return "no checks"
        return (
            f"{len(self.raised)} of {len(self.checks)} checks raised, {len(self.not_run)} not run"
        )


def verdict(result: AuditResult) -> Verdict:
    """Of a result; one from before there were checks is not judged."""
    return Verdict(result.evidence or UNJUDGED, result.finding or NO_FINDING, result.checks)
