"""The verdict as Markdown, for a comment on a pull request: waivers first, then worst first.

GitHub answers 422 to a comment of more than 65,536 characters, so the text is cut before that, and
says what it leaves out. Its first line is a comment that nobody sees, by which a bot finds what it
wrote before and replaces it.
"""

import json
import re
from typing import Final

from app.gates.verdict import Case, ExitCode, Outcome, Verdict
from app.markdown import code, prose

MOST_CHARACTERS: Final = 60_000
ROOM_FOR_THE_END: Final = 200
MOST_WAIVERS: Final = 50
SIGNS: Final[dict[Outcome, str]] = {"failed": "❌", "error": "⚠️", "skipped": "⏭️", "passed": "✅"}
HEADS: Final[dict[ExitCode, str]] = {
    ExitCode.PASSED: "✅ Robustness gates passed",
    ExitCode.FAILED: "❌ Robustness gates failed",
    ExitCode.USAGE: "⚠️ Robustness gates cannot be asked",
    ExitCode.NOTHING_TO_JUDGE: "⚠️ Robustness gates: nothing to judge",
    ExitCode.UNREACHABLE: "⚠️ Robustness gates: the service does not answer",
}


def marker(model: str | None) -> str:
    """What a bot knows its comment by: one a model, so that the gates of two do not overwrite each
    other."""
    name = re.sub(r"[^A-Za-z0-9._-]+|-{2,}", "_", model or "")[:100]
    return f"<!-- serval-gate:{name} -->" if name else "<!-- serval-gate -->"


def markdown(verdict: Verdict) -> str:
    """The comment, of at most `MOST_CHARACTERS`."""
    head = _head(verdict)
    blocks = [_block(case) for case in verdict.worst_first()]
    kept, room = 0, MOST_CHARACTERS - ROOM_FOR_THE_END - len(head)
    for block in blocks:
        room -= len(block) + 1
        if room < 0:
            break
        kept += 1
    return "\n".join([head, *blocks[:kept], *_left_out(verdict, kept)]) + "\n"


def _left_out(verdict: Verdict, kept: int) -> list[str]:
    """What there was no room for."""
    rest = verdict.worst_first()[kept:]
    if not rest:
        return []
    counts = ", ".join(
        f"{number} {outcome}"
        for outcome in SIGNS
        if (number := sum(case.outcome == outcome for case in rest))
    )
    return [f"\n{len(rest)} more are left out here for want of room: {counts}."]


def _head(verdict: Verdict) -> str:
    lines = [marker(verdict.model), f"### {HEADS[ExitCode(verdict.exit_code)]}", ""]
    counts = ", ".join(f"{verdict.count(one)} {one}" for one in SIGNS)
    lines.append(f"{counts}. Exit code {verdict.exit_code}.")
    if verdict.waivers:
        lines += ["", "**Waivers**", ""]
        lines += [
            f"- {code(one.check)} until {one.until} ({one.effect}): {prose(one.reason, 200)}"
            for one in verdict.waivers[:MOST_WAIVERS]
        ]
        if len(verdict.waivers) > MOST_WAIVERS:
            lines.append(f"- and {len(verdict.waivers) - MOST_WAIVERS} more")
    told = [
        (name, value)
        for name in ("model", "audit", "baseline", "evidence")
        if (value := getattr(verdict, name)) is not None
    ]
    if told:
        lines += ["", " · ".join(f"{name} {code(value, 150)}" for name, value in told)]
    if verdict.finding is not None:
        lines += ["", prose(verdict.finding)]
    return "\n".join([*lines, ""])


def _block(case: Case) -> str:
    """A case in a list; the remedy below it, unless it passed."""
    lines = [f"- {SIGNS[case.outcome]} {code(case.name)}: {prose(case.message, 600)}"]
    if case.outcome != "passed" and case.remedy is not None:
        lines.append(f"  - Remedy: {prose(case.remedy, 600)}")
    if case.outcome != "passed" and case.request is not None:
        patch = json.dumps(case.request, ensure_ascii=False)
        lines.append(f"  - Patch of the request: {code(patch, 600)}")
    return "\n".join(lines)
