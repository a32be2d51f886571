"""UAR of each group of clips, as they are and under the worst attack."""

from collections.abc import Sequence
from typing import Final

from app.reports import words
from app.reports.charts.canvas import Style
from app.reports.charts.chart import Chart, Table
from app.reports.charts.forest import Forest, Row, draw
from app.reports.charts.strongest import worst_point
from models.audit.figure import Figure
from models.audit.measures.gaps import Group, GroupTable
from models.audit.result import AuditSummary

MOST: Final = 24
"""Groups that are drawn: those with the lowest UAR."""


def groups(result: AuditSummary, tables: Sequence[GroupTable]) -> list[Chart]:
    """A chart for each way of grouping, emotions left out: those are the recalls.

    Args:
        tables: of the report.
    """
    worst = worst_point(result)
    kinds = dict.fromkeys(table.by for table in tables if table.by != "emotion")
    found = []
    for number, by in enumerate(kinds, start=1):
        clean = _table_of(tables, by, None, None)
        attacked = None if worst is None else _table_of(tables, by, worst.attack, worst.strength)
        if clean is not None and any(group.uar.value is not None for group in clean.groups):
            found.append(_chart(f"groups-{number}", by, clean, attacked, worst_name(result)))
    return found


def worst_name(result: AuditSummary) -> str:
    """The worst attack at its strongest, in words."""
    worst = worst_point(result)
    if worst is None:
        return "under attack"
    threat = result.attacks[worst.attack].threat
    name = words.attack_names(result.attacks)[worst.attack]
    return f"{name} at {words.strength(worst.strength, threat)}"


def _table_of(
    tables: Sequence[GroupTable], by: str, attack: int | None, strength: float | None
) -> GroupTable | None:
    for table in tables:
        if (table.by, table.attack, table.strength) == (by, attack, strength):
            return table
    return None


def _chart(name: str, by: str, clean: GroupTable, attacked: GroupTable | None, worst: str) -> Chart:
    after = {group.group: group for group in (attacked.groups if attacked else ())}
    ordered = sorted(clean.groups, key=lambda group: _lowest(group, after.get(group.group)))
    shown = ordered if by == "duration" else ordered[:MOST]
    if by == "duration":
        shown = list(clean.groups)
    left_out = len(clean.groups) - len(shown) + clean.left_out
    description = f"UAR of {words.count(len(clean.groups), 'group')} by {by}, with 95 % intervals."
    if left_out:
        description += f" The {len(shown)} with the lowest UAR are shown."
    forest = Forest(
        title=f"UAR by {by}",
        description=description,
        quantity="UAR",
        series=[("as they are", Style.of(0, control=True)), (worst, Style.of(1))],
        rows=[
            Row(
                f"{words.legible(group.group, 40)} (n = {group.n})",
                [group.uar, _uar(after.get(group.group))],
            )
            for group in shown
        ],
    )
    return Chart.drawn(
        name,
        forest.title,
        description,
        lambda name, width: draw(forest, name, width),
        _table(forest.title, clean, after, worst),
    )


def _uar(group: Group | None) -> Figure | None:
    return None if group is None else group.uar


def _lowest(group: Group, after: Group | None) -> float:
    figure = group.uar if after is None else after.uar
    return 2.0 if figure.value is None else figure.value


def _table(title: str, clean: GroupTable, after: dict[str, Group], worst: str) -> Table:
    rows = []
    for group in clean.groups:
        found = after.get(group.group)
        rows.append(
            (
                group.group,
                f"{group.n:,}",
                words.with_interval(group.uar),
                words.with_interval(_uar(found)),
                words.with_interval(None if found is None else found.success_rate),
                words.with_interval(None if found is None else found.flip_rate),
            )
        )
    note = (
        f"{words.count(clean.left_out, 'more group')} with fewer clips." if clean.left_out else ""
    )
    columns = ("group", "clips", "UAR as they are", "UAR attacked", "success", "flips")
    return Table(f"{title}; attacked: {worst}", columns, tuple(rows), note)
