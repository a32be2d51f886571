"""Whether an audit may be relied on, what it found, and what speaks against it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from app.audits.result import AuditResult

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
SEVERITIES: Final = ("invalid", "weak", "note")
NO_FINDING: Final = "No finding was written. The figures below stand."


@dataclass(frozen=True)
class Checked:
    """One check, as a report shows it.

    Attributes:
        text: what was measured, or why it was not run.
        remedy: what to do; "" for nothing.
        patch: to the request, that settles it; None where no other run does.
    """

    id: str
    title: str
    severity: str
    status: str
    text: str
    remedy: str
    patch: Mapping[str, Any] | None

    @property
    def mark(self) -> str:
        """Of its status."""
        return {"raised": "▲", "not_run": "○"}.get(self.status, "✓")


@dataclass(frozen=True)
class Verdict:
    """The first two lines of a report, and the checks.

    Attributes:
        evidence: "sound", "weak", "invalid" or `UNJUDGED`.
        finding: one sentence.
        checks: those that speak loudest first.
    """

    evidence: str
    finding: str
    checks: Sequence[Checked]

    @property
    def mark(self) -> str:
        """Of the evidence."""
        return MARKS.get(self.evidence, "○")

    @property
    def meaning(self) -> str:
        """What the evidence's word says."""
        return MEANINGS.get(self.evidence, "")

    @property
    def raised(self) -> list[Checked]:
        """Checks that speak against the audit, the worst first."""
        return [one for one in self.checks if one.status == "raised"]

    @property
    def not_run(self) -> list[Checked]:
        """Checks that could not be run."""
        return [one for one in self.checks if one.status == "not_run"]

    @property
    def clear(self) -> list[Checked]:
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
    told = result.model_dump(mode="json")
    checks = [_checked(one) for one in told.get("checks") or []]
    order = {name: place for place, name in enumerate(SEVERITIES)}
    checks.sort(key=lambda one: (one.status != "raised", order.get(one.severity, 9)))
    return Verdict(told.get("evidence") or UNJUDGED, told.get("finding") or NO_FINDING, checks)


def _checked(one: Mapping[str, Any]) -> Checked:
    remedy = one.get("remedy") or {}
    return Checked(
        id=one["id"],
        title=one.get("title") or one["id"],
        severity=one["severity"],
        status=one["status"],
        text=one.get("measured") or one.get("reason") or "",
        remedy=remedy.get("text") or "",
        patch=remedy.get("request"),
    )
