"""A comparison as JSON, as CSV for data frames, and as Markdown for a pull request."""

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from app.audits.formats import unevaluated
from app.comparisons.schemas import ComparedAudit, Comparison
from app.jobs.states import JobStatus
from models.audit.comparison import Delta

COMPARISONS: Final = {
    "json": "application/json",
    "csv": "text/csv",
    "markdown": "text/markdown",
}
MOST_CHARACTERS: Final = 60_000
"""Of Markdown: GitHub refuses a comment of more than 65,536."""
COLUMNS: Final = (
    "figure", "case", "domain", "norm", "unit", "strength", "attack", "parameters", "control",
    "a", "b", "of_a", "of_b", "value", "low", "high", "n", "n_speakers", "method", "p", "p_holm",
    "mcnemar_b", "mcnemar_c", "mcnemar_p", "z", "z_p",
)  # fmt: skip


def as_json(found: Comparison) -> str:
    """All of it."""
    return found.model_dump_json()


def as_csv(found: Comparison) -> str:
    """A line for each difference; none while an audit runs."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(COLUMNS)
    for one in found.deltas or []:
        writer.writerow(map(unevaluated, _cells(one)))
    return buffer.getvalue()


def _cells(one: Delta) -> list[Any]:
    threat = (None, None, None)
    if one.threat is not None:
        threat = (one.threat.domain, one.threat.norm, one.threat.unit)  # type: ignore[assignment]
    parameters = "" if one.parameters is None else json.dumps(one.parameters)
    z = (None, None) if one.z_test is None else (one.z_test.z, one.z_test.p)
    return [
        one.figure, one.case, *threat, one.strength, one.attack, parameters,
        str(one.control).lower(), one.a, one.b, one.of_a, one.of_b, one.value,
        *(one.interval or (None, None)), one.n, one.n_speakers, one.method, one.p, one.p_holm,
        one.mcnemar.b, one.mcnemar.c, one.mcnemar.p, *z,
    ]  # fmt: skip


def as_markdown(found: Comparison) -> str:
    """Which audits, whether they can be ranked, in what they differ, and the differences. What is
    too much for a comment is left out from the end, and that is said."""
    lines, room = [], MOST_CHARACTERS
    for line in _markdown(found):
        room -= len(line) + 1
        if room < 200:
            lines.append(f"\nThe rest is left out: {found.url}")
            break
        lines.append(line)
    return "\n".join(lines) + "\n"


def _markdown(found: Comparison) -> Iterator[str]:
    yield "# Comparison of audits\n"
    yield "| | audit | model | status | evidence |\n|---|---|---|---|---|"
    for audit in found.audits:
        yield _line(audit.name, audit.id, audit.model, audit.status, evidence_of(audit))
    if found.common is None:
        yield f"\nNot all of them have ended. Ask again: `{found.url}`"
        return
    common = found.common
    speakers = "unknown speakers" if common.speakers is None else f"{common.speakers} speakers"
    yield (
        f"\nIn common: {common.clips} clips of {speakers}; attacks at a strength: {common.points}."
        f" Comparisons, for which each Holm p is adjusted: {found.comparisons}.\n"
    )
    for ranked in found.ranking or []:
        yield f"- {_cell(ranked.sentence)}"
    for warning in found.warnings or []:
        yield f"- Note: {_cell(warning)}"
    yield from _differences(found)
    yield from _deltas(found)


def evidence_of(audit: ComparedAudit) -> str:
    """What an audit's evidence is worth, in a word or two."""
    return audit.evidence or ("not known" if audit.status == JobStatus.SUCCEEDED else "–")


def _differences(found: Comparison) -> Iterator[str]:
    names = [audit.name for audit in found.audits]
    yield "\n## In what they differ\n"
    if not found.differs:
        yield "In nothing that an audit records."
        return
    yield _line("field", *names) + "\n" + "|---" * (1 + len(names)) + "|"
    for row in found.differs:
        yield _line(row.field, *(json.dumps(row.values[one.id]) for one in found.audits))


def _deltas(found: Comparison) -> Iterator[str]:
    names = {audit.id: audit.name for audit in found.audits}
    yield "\n## Differences\n"
    heads = ("at", "figure", "audits", "first", "second", "difference", "Holm p", "McNemar", "n")
    yield _line(*heads) + "\n" + "|---" * len(heads) + "|"
    for one in found.deltas or []:
        yield _line(*row_of(one, names))


def row_of(one: Delta, names: Mapping[str, str]) -> tuple[str, ...]:
    """A difference as people read it."""
    low, high = one.interval or (None, None)
    interval = "" if low is None else f" [{low:+.3f}, {high:+.3f}]"
    return (
        one.words,
        one.figure,
        f"{names[one.a]} → {names[one.b]}",
        _number(one.of_a, ".3f"),
        _number(one.of_b, ".3f"),
        f"{_number(one.value, '+.3f')}{interval}",
        _number(one.p_holm, ".2g"),
        f"{one.mcnemar.b}/{one.mcnemar.c}, p {one.mcnemar.p:.2g}",
        str(one.n),
    )


def _number(value: float | None, shape: str) -> str:
    return "–" if value is None else format(value, shape)


def _line(*cells: object) -> str:
    return "| " + " | ".join(_cell(str(cell)) for cell in cells) + " |"


MARKED: Final = str.maketrans(
    {sign: f"\\{sign}" for sign in "\\`*_[]|~"} | {"<": "&lt;", ">": "&gt;", "&": "&amp;"}
)
"""What Markdown would take for markup: names come from others."""


def _cell(text: str) -> str:
    return " ".join(text.translate(MARKED).split())


WRITTEN: Final[Mapping[str, Callable[[Comparison], str]]] = {
    "json": as_json,
    "csv": as_csv,
    "markdown": as_markdown,
}
"""How each is written."""
