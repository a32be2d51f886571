"""Largest differences between groups of clips: worst minus best, at a level for all pairs."""

from collections.abc import Sequence
from typing import Final

from app.reports import words
from app.reports.charts.canvas import Style
from app.reports.charts.chart import Chart, Table
from app.reports.charts.forest import Forest, Row, draw
from app.reports.charts.strongest import worst_point
from models.audit.measures.gaps import Gap
from models.audit.result import AuditSummary

FIGURES: Final = ("uar", "success_rate", "flip_rate")


def gaps(result: AuditSummary) -> list[Chart]:
    """A chart for the clips as they are, and one for the worst attack at its strongest."""
    found = [_chart("gaps-clean", "the clips as they are", _at(result, None, None))]
    worst = worst_point(result)
    if worst is not None:
        threat = result.attacks[worst.attack].threat
        name = words.attack_names(result.attacks)[worst.attack]
        at = f"{name} at {words.strength(worst.strength, threat)}"
        found.append(_chart("gaps-worst", at, _at(result, worst.attack, worst.strength)))
    return [chart for chart in found if chart is not None]


def _at(result: AuditSummary, attack: int | None, strength: float | None) -> list[Gap]:
    return [gap for gap in result.gaps if (gap.attack, gap.strength) == (attack, strength)]


def _chart(name: str, of: str, own: Sequence[Gap]) -> Chart | None:
    if not own:
        return None
    forest = Forest(
        title=f"Gaps between groups: {of}",
        description=_description(own),
        quantity="Worst group minus best group",
        series=[("gap", Style.of(0))],
        rows=[Row(f"{words.GROUPS[gap.figure]} by {gap.by}", [gap.gap]) for gap in own],
        signed=True,
    )
    return Chart.drawn(
        name,
        forest.title,
        forest.description,
        lambda name, width: draw(forest, name, width),
        _table(forest.title, own),
    )


def differs(gap: Gap) -> bool:
    """Whether its interval leaves 0 out."""
    low, high = gap.gap.interval or (0.0, 0.0)
    return low > 0 or high < 0


def _description(own: Sequence[Gap]) -> str:
    clear = [gap for gap in own if differs(gap)]
    if not clear:
        return (
            f"None of {words.count(len(own), 'difference')} is larger than chance makes of so many"
            " pairs of groups: every interval holds 0."
        )
    told = "; ".join(
        f"{words.GROUPS[gap.figure]} by {gap.by}, {words.legible(gap.worst)} minus"
        f" {words.legible(gap.best)}: {words.with_interval(gap.gap)}"
        for gap in clear
    )
    return f"{len(clear)} of {words.count(len(own), 'difference')} leave 0 out: {told}."


def _table(title: str, own: Sequence[Gap]) -> Table:
    return Table(
        title,
        ("figure", "groups by", "worst", "best", "gap", "interval of all pairs", "groups", "clips"),
        tuple(
            (
                words.GROUPS[gap.figure],
                gap.by,
                gap.worst,
                gap.best,
                words.number(gap.gap.value),
                words.interval(gap.gap),
                f"{gap.groups:,}",
                f"{gap.gap.n:,}",
            )
            for gap in own
        ),
        "A gap whose interval leaves 0 out is larger than chance makes of so many pairs of groups.",
    )
