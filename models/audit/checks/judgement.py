"""The verdict on an audit's evidence: the worst of what its checks raise."""

from dataclasses import dataclass
from typing import Final

from models.audit.checks.check import CHECKS, Check
from models.audit.checks.observed import Observed
from models.audit.checks.outcome import (
    CheckResult,
    Clear,
    Evidence,
    NotRun,
    Outcome,
    Raised,
    Remedy,
)
from models.audit.finding import finding

MOST_TOLD: Final = 300
"""Characters of the exception of a check that failed."""


@dataclass(frozen=True)
class Judgement:
    """What is concluded of an audit.

    Attributes:
        evidence: the worst severity of a raised check; weak at best where a check failed.
        finding: one sentence.
        checks: of every check that is registered, those that were raised first.
    """

    evidence: Evidence
    finding: str
    checks: list[CheckResult]


def judge(audit: Observed) -> Judgement:
    """Ask every registered check. None that fails passes in silence: it is not run, says why, and
    the evidence is weak at best."""
    found: list[CheckResult] = []
    worst: set[str] = set()
    for check in CHECKS.values():
        outcome, failed = _looked(check, audit)
        found.append(_result(check, outcome, failed=failed))
        if failed:
            worst.add("weak")
        elif isinstance(outcome, Raised):
            worst.add(check.severity)
    evidence: Evidence = "invalid" if "invalid" in worst else "weak" if "weak" in worst else "sound"
    against = [one.title for one in found if one.status == "raised" and one.severity == "invalid"]
    return Judgement(evidence, finding(audit.summary, against), sorted(found, key=_order))


def _looked(check: type[Check], audit: Observed) -> tuple[Outcome, bool]:
    """What a check says, and whether it failed."""
    try:
        return check().look(audit), False
    except Exception as error:  # noqa: BLE001 (whatever it is, the audit must not pass without the check)
        told = f"The check failed: {type(error).__name__}: {error}"
        return NotRun(told[:MOST_TOLD]), True


def _result(check: type[Check], outcome: Outcome, *, failed: bool) -> CheckResult:
    remedy = None
    if not isinstance(outcome, Clear) and outcome.remedy:
        remedy = Remedy(text=outcome.remedy, request=outcome.request)
    return CheckResult(
        id=check.id,
        version=check.version,
        title=check.title,
        severity=check.severity,
        status=_STATUS[type(outcome)],
        measured=None if isinstance(outcome, NotRun) else outcome.measured,
        reason=outcome.reason if isinstance(outcome, NotRun) else None,
        failed=failed,
        remedy=remedy,
    )


_STATUS: Final = {Clear: "clear", Raised: "raised", NotRun: "not_run"}
_SEVERITY_ORDER: Final = {"invalid": 0, "weak": 1, "note": 2}
_STATUS_ORDER: Final = {"raised": 0, "not_run": 1, "clear": 2}


def _order(one: CheckResult) -> tuple[int, int, str]:
    return _STATUS_ORDER[one.status], _SEVERITY_ORDER[one.severity], one.id
