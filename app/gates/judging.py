"""From gates, checks and waivers to a verdict.

- A gate fails where its condition holds, and cannot be judged where its figure is missing or the
  evidence is invalid.
- Evidence that is invalid lets nothing pass, unless that is allowed explicitly: that of the audit
  no gate, and that of its baseline none on a difference.
- A check that is raised fails where the evidence is to be sound, and is shown in any case. A waiver
  takes that back for a time, but never of a check that makes the evidence invalid.
- A check that does not apply, or whose subject is not known, fails nothing. One that failed itself
  makes the evidence weak: where it has to be sound, it cannot be judged.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Final, Literal

from app.errors import shown
from app.gates.audit import Audit, AuditResult, Check, Evidence, Figure
from app.gates.errors import GateError
from app.gates.expression import Bound, parse
from app.gates.gate_file import Gate, Waiver
from app.gates.names import DELTA, Term, find, nearest, terms
from app.gates.verdict import AppliedWaiver, Case, Outcome, Verdict

Least = Literal["sound", "weak"]
MOST_NAMED: Final = 20
UNFIT: Final = (None, "invalid")
"""Evidence by which nothing is judged, unless that is allowed."""
BASELINE_REMEDY: Final = (
    "Give a baseline whose evidence is weak or sound: mend what its checks found, or audit that"
    " model again. --allow-invalid judges the difference all the same."
)


@dataclass(frozen=True)
class Demands:
    """What is asked of an audit.

    Attributes:
        evidence: the least that its evidence must be.
        allow_invalid: judge also what rests on invalid evidence.
        today: in UTC, for waivers.
    """

    gates: Sequence[Gate]
    waivers: Sequence[Waiver] = ()
    evidence: Least = "weak"
    allow_invalid: bool = False
    today: date = field(kw_only=True)


@dataclass(frozen=True)
class BaselineAudit:
    """What an audit is held against.

    Attributes:
        audit: its id.
        evidence: what its figures are worth; None if nobody knows.
        deltas: differences of the audit's figures from its own.
    """

    audit: str
    evidence: Evidence | None = None
    deltas: Sequence[Term] = ()


def judge(audit: Audit, demands: Demands, baseline: BaselineAudit | None = None) -> Verdict:
    """The verdict over an audit that has ended.

    Raises:
        GateError: a gate names what the audit has not, a waiver is of no check, or as `check`.
    """
    check(demands)
    against = None if baseline is None else baseline.audit
    if audit.result is None:
        return _without_result(audit, demands, against)
    result = audit.result
    waived = _waived(result, demands.waivers)
    known = terms(result, () if baseline is None else baseline.deltas)
    gates = [_gate(gate, known, result, baseline, demands) for gate in demands.gates]
    checks = [_check(check, demands, waived.get(check.id)) for check in result.checks]
    return Verdict(
        audit=audit.id,
        baseline=against,
        model=audit.model,
        evidence=result.evidence,
        finding=result.finding,
        waivers=[_applied(waiver, result.checks) for waiver in demands.waivers],
        cases=[_evidence(result, demands, checks), *gates, *checks],
    )


def check(demands: Demands) -> None:
    """Return if the demands can be made of any audit.

    Raises:
        GateError: there is nothing to judge by, a gate states no condition, or a waiver is over.
    """
    if not demands.gates and demands.evidence != "sound":
        raise GateError(
            "There is no gate, and without one every audit would pass: give --fail-if, gates in a"
            ' gate file, or evidence = "sound" there.'
        )
    for gate in demands.gates:
        parse(gate.fail_if)
    for waiver in demands.waivers:
        if waiver.until < demands.today:
            raise GateError(
                f"The waiver of {shown(waiver.check)} was until {waiver.until}, and it is"
                f" {demands.today}: mend what the check found, or give a later date and a reason."
            )


def _waived(result: AuditResult, waivers: Sequence[Waiver]) -> Mapping[str, Waiver]:
    known = [check.id for check in result.checks]
    for waiver in waivers:
        if waiver.check not in known:
            near = ", ".join(nearest(waiver.check, known)[:MOST_NAMED]) or "none"
            raise GateError(
                f"The waiver of {shown(waiver.check)} is of no check of this audit. Nearest of"
                f" {len(known)}: {near}."
            )
    return {waiver.check: waiver for waiver in waivers}


def _without_result(audit: Audit, demands: Demands, baseline: str | None) -> Verdict:
    """Of an audit that failed or was cancelled: nothing can be judged."""
    why = "" if audit.error is None else f": {audit.error.message} ({audit.error.code})"
    message = f"The audit is {audit.status} and has no result{why}"
    cases = [Case(kind="evidence", name="evidence", outcome="error", message=message)]
    cases += [
        Case(kind="gate", name=str(gate.condition), outcome="error", message="not judged")
        for gate in demands.gates
    ]
    waivers = [
        AppliedWaiver(**waiver.model_dump(), effect="the audit has no checks")
        for waiver in demands.waivers
    ]
    return Verdict(
        audit=audit.id, baseline=baseline, model=audit.model, waivers=waivers, cases=cases
    )


def _evidence(result: AuditResult, demands: Demands, checks: Sequence[Case]) -> Case:
    """Whether the evidence is as good as it has to be."""
    told = {
        None: "The audit was made before there were checks, so nobody knows what its evidence is"
        " worth: audit the model again",
        "invalid": "The evidence is invalid: nothing can be concluded from the figures",
        "weak": "The evidence is weak",
        "sound": "The evidence is sound",
    }[result.evidence]
    case = Case(kind="evidence", name="evidence", outcome="passed", message=told)
    if result.evidence in UNFIT:
        if demands.allow_invalid:
            allowed = f"{told}. --allow-invalid lets it pass"
            return case.model_copy(update={"outcome": "skipped", "message": allowed})
        remedy = "Mend what the checks found. --allow-invalid judges the figures all the same."
        return case.model_copy(update={"outcome": "error", "remedy": remedy})
    if demands.evidence == "sound" and result.evidence == "weak":
        outcome, why = _weak(checks)
        return case.model_copy(update={"outcome": outcome, "message": f"{told}{why}"})
    return case


def _weak(checks: Sequence[Case]) -> tuple[Outcome, str]:
    """What weak evidence comes to that has to be sound, and why."""
    outcomes = {check.outcome for check in checks}
    if "failed" in outcomes:
        return "failed", ", and has to be sound"
    if "error" in outcomes or not any(check.waived for check in checks):
        return "error", ", and has to be sound"
    return "skipped", " by what is waived alone"


def _gate(
    gate: Gate,
    known: Sequence[Term],
    result: AuditResult,
    baseline: BaselineAudit | None,
    demands: Demands,
) -> Case:
    condition = gate.condition
    term = find(condition, known)
    value = _bound(term.figure, condition.bound)
    outcome: Outcome = "passed"
    message = f"{term.full} is {figure_text(term.figure)}"
    remedy = None
    doubt = _doubt(term, baseline)
    if doubt and demands.allow_invalid:
        message = f"{message}, judged in spite of {doubt} (--allow-invalid)"
    if result.evidence in UNFIT and not demands.allow_invalid:
        outcome, message = "error", f"not judged, because of the evidence: {message}"
    elif doubt and not demands.allow_invalid:
        outcome, message = "error", f"not judged, because of {doubt}: {message}"
        remedy = BASELINE_REMEDY
    elif value is None:
        outcome, message = "error", f"{message}, so there is no {condition.bound} to judge"
    elif condition.holds(value):
        outcome = "failed"
    why = f". {gate.why}" if gate.why and outcome == "failed" else ""
    return Case(
        kind="gate",
        name=str(condition),
        outcome=outcome,
        message=f"{message}{why}",
        remedy=remedy,
    )


def _doubt(term: Term, baseline: BaselineAudit | None) -> str:
    """What speaks against judging a difference from the baseline; "" for nothing."""
    if baseline is None or baseline.evidence not in UNFIT or not term.name.startswith(DELTA):
        return ""
    return f"the baseline's evidence, which is {baseline.evidence or 'not known'}"


def _bound(figure: Figure, bound: Bound) -> float | None:
    match bound:
        case "value":
            return figure.value
        case "n":
            return figure.n
        case "low" | "high":
            if figure.interval is None or figure.value is None:
                return None
            return figure.interval[bound == "high"]


def figure_text(figure: Figure) -> str:
    """A figure in a line, with interval, clips and speakers."""
    if figure.value is None:
        return "missing"
    ends = "no interval"
    if figure.interval is not None:
        ends = f"[{figure.interval[0]:.4f}, {figure.interval[1]:.4f}]"
    speakers = "" if figure.n_speakers is None else f", {figure.n_speakers} speakers"
    return f"{figure.value:.4f} {ends} (n = {figure.n}{speakers})"


def _check(check: Check, demands: Demands, waiver: Waiver | None) -> Case:
    """What a check comes to; its remedy stands beside it wherever it is not clear."""
    state = {"clear": "clear", "raised": f"raised ({check.severity})", "not_run": "not run"}
    parts = (check.title, state[check.status], check.measured or check.reason)
    case = Case(
        kind="check",
        name=check.id,
        outcome="passed",
        message=": ".join(part for part in parts if part).removesuffix("."),
    )
    if check.status == "clear":
        return case
    outcome, why = _not_clear(check, demands, waiver)
    return case.model_copy(
        update={
            "outcome": outcome,
            "message": f"{case.message}. {why}",
            "waived": waiver is not None and outcome == "skipped",
            "remedy": None if check.remedy is None else check.remedy.text,
            "request": None if check.remedy is None else check.remedy.request,
        }
    )


def _not_clear(check: Check, demands: Demands, waiver: Waiver | None) -> tuple[Outcome, str]:
    """The outcome of a check that was raised or did not run, and why."""
    if check.status == "raised" and check.severity == "invalid":
        if demands.allow_invalid:
            return "skipped", "Allowed by --allow-invalid"
        not_lifted = ", which a waiver does not lift" if waiver else ""
        return "error", f"It makes the evidence invalid{not_lifted}"
    if waiver is not None:
        return "skipped", f"Waived until {waiver.until}: {waiver.reason}"
    if demands.evidence == "weak":
        return "skipped", "It fails no build as long as the evidence may be weak"
    if check.failed:
        return "error", "The evidence has to be sound, and this makes it weak"
    if check.status == "raised" and check.severity == "weak":
        return "failed", "The evidence has to be sound"
    return "skipped", "It leaves the evidence as it is"


def _applied(waiver: Waiver, checks: Sequence[Check]) -> AppliedWaiver:
    (check,) = (one for one in checks if one.id == waiver.check)
    if check.status == "clear":
        effect = "not needed: the check is clear"
    elif check.status == "raised" and check.severity == "invalid":
        effect = "without effect: it never lifts what makes the evidence invalid"
    else:
        effect = "applied"
    return AppliedWaiver(**waiver.model_dump(), effect=effect)
