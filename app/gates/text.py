"""The verdict in a terminal: waivers first, then worst first, and the verdict last."""

from collections.abc import Iterator
from typing import Final

from app.gates.verdict import Case, Outcome, Verdict
from app.markdown import one_line

WORDS: Final[dict[Outcome, str]] = {
    "failed": "FAILED",
    "error": "ERROR",
    "skipped": "skipped",
    "passed": "passed",
}


def lines(verdict: Verdict) -> Iterator[str]:
    """Line by line, with nothing in it that a terminal obeys."""
    for waiver in verdict.waivers:
        yield one_line(
            f"waiver   {waiver.check} until {waiver.until} ({waiver.effect}): {waiver.reason}"
        )
    for case in verdict.worst_first():
        yield from _case(case)
    yield ""
    counts = ", ".join(f"{verdict.count(one)} {one}" for one in WORDS)
    yield f"gates: {verdict.word} ({counts}; exit code {verdict.exit_code})"


def _case(case: Case) -> Iterator[str]:
    yield one_line(f"{WORDS[case.outcome]:<8} {case.name}: {case.message}")
    if case.outcome != "passed" and case.remedy is not None:
        yield f"         → {one_line(case.remedy)}"
