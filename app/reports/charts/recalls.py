"""The recall of each emotion, as the clips are and under the worst attack."""

from collections.abc import Sequence
from typing import Final

from app.reports import words
from app.reports.charts.canvas import Style
from app.reports.charts.chart import Chart, Table
from app.reports.charts.forest import Forest, Row, draw
from app.reports.charts.groups import worst_name
from app.reports.charts.strongest import worst_point
from models.audit.figure import Figure
from models.audit.measures.gaps import GroupTable
from models.audit.result import AuditSummary, Quality

MOST: Final = 24
"""Emotions that are drawn: those with the lowest recall under attack."""


def recalls(result: AuditSummary, tables: Sequence[GroupTable]) -> Chart | None:
    """None without labels.

    Args:
        tables: of the report, which have the intervals.
    """
    if result.clean.recall is None:
        return None
    worst = worst_point(result)
    clean = _figures(result.clean, tables, None, None)
    after = {} if worst is None else _figures(worst, tables, worst.attack, worst.strength)
    names = [name for name in result.labels if name in clean]
    shown = sorted(names, key=lambda name: _value(after.get(name) or clean[name]))[:MOST]
    shown = [name for name in names if name in shown]
    name_of_worst = worst_name(result)
    description = f"Recall of {words.count(len(names), 'emotion')}, with 95 % intervals."
    if len(shown) < len(names):
        description += f" The {MOST} with the lowest are shown."
    forest = Forest(
        title="Recall of each emotion",
        description=description,
        quantity="Recall",
        series=[("as they are", Style.of(0, control=True)), (name_of_worst, Style.of(1))],
        rows=[Row(_counted(name, clean[name]), [clean[name], after.get(name)]) for name in shown],
    )
    return Chart.drawn(
        "recalls",
        forest.title,
        description,
        lambda name, width: draw(forest, name, width),
        Table(
            f"{forest.title}; attacked: {name_of_worst}",
            ("emotion", "clips", "as they are", "attacked"),
            tuple(
                (
                    name,
                    f"{clean[name].n:,}" if clean[name].n else words.NOTHING,
                    words.with_interval(clean[name]),
                    words.with_interval(after.get(name)),
                )
                for name in names
            ),
        ),
    )


def _counted(name: str, figure: Figure) -> str:
    return f"{words.legible(name, 40)} (n = {figure.n})" if figure.n else words.legible(name, 40)


def _value(figure: Figure) -> float:
    return 2.0 if figure.value is None else figure.value


def _figures(
    quality: Quality, tables: Sequence[GroupTable], attack: int | None, strength: float | None
) -> dict[str, Figure]:
    """Of each emotion that there are clips of: with its interval where the report has one."""
    known: dict[str, Figure] = {}
    for table in tables:
        if (table.by, table.attack, table.strength) == ("emotion", attack, strength):
            known = {group.group: group.uar for group in table.groups}
    counted = {} if quality.confusion is None else dict(enumerate(map(sum, quality.confusion)))
    return {
        name: known.get(name)
        or Figure(
            value=recall,
            interval=None,
            n=counted.get(place, 0),
            n_speakers=None,
            method="bootstrap_clips",
        )
        for place, (name, recall) in enumerate((quality.recall or {}).items())
        if recall is not None
    }
