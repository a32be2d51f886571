"""What the model says of the clips of each emotion, as they are and under the worst attack."""

from app.reports import words
from app.reports.charts.chart import Chart
from app.reports.charts.matrix import Matrix, draw
from app.reports.charts.strongest import worst_point
from models.audit.result import AuditSummary, Quality


def confusion(result: AuditSummary) -> list[Chart]:
    """The clips as they are, and the attack with the lowest UAR at its strongest; none without
    labels, or of more than 64 emotions."""
    found = [_chart("confusion-clean", "the clips as they are", result.clean, result)]
    worst = worst_point(result)
    if worst is not None:
        attack = result.attacks[worst.attack]
        name = words.attack_names(result.attacks)[worst.attack]
        at = f"{name} at {words.strength(worst.strength, attack.threat)}"
        found.append(_chart("confusion-worst", at, worst, result))
    return [chart for chart in found if chart is not None]


def _chart(name: str, of: str, quality: Quality, result: AuditSummary) -> Chart | None:
    cells = quality.confusion
    if cells is None:
        return None
    n, right = sum(map(sum, cells)), sum(row[place] for place, row in enumerate(cells))
    matrix = Matrix.of_largest(
        f"True and predicted emotions: {of}",
        f"{right:,} of {words.count(n, 'clip')} are right; they stand in the framed cells of the"
        " diagonal.",
        rows="true",
        columns="predicted",
        names=result.labels,
        cells=cells,
        framed="right",
    )
    return Chart.drawn(
        name,
        matrix.title,
        matrix.description,
        lambda name, width: draw(matrix, name, width),
        matrix.table(),
        shrinks=False,
    )
