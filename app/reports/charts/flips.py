"""From which emotion to which an attack drives predictions."""

from app.reports import words
from app.reports.charts.chart import Chart
from app.reports.charts.matrix import Matrix, draw
from app.reports.charts.strongest import strongest_points
from models.audit.measures.flips import Flipped
from models.audit.result import AuditSummary


def flip_matrices(result: AuditSummary) -> list[Chart]:
    """A chart for each attack at its strongest strength; none of more than 64 emotions."""
    found = []
    for point in strongest_points(result):
        if point.flips is None or point.flips.matrix is None:
            continue
        attack = result.attacks[point.attack]
        name = words.attack_names(result.attacks)[point.attack]
        at = f"{name} at {words.strength(point.strength, attack.threat)}"
        matrix = Matrix.of_largest(
            f"Predictions before and under {at}",
            _description(point.flips, point.n),
            rows="before",
            columns="under the attack",
            names=result.labels,
            cells=point.flips.matrix,
            framed="did not change",
        )
        found.append(_drawn(f"flips-{point.attack + 1}", matrix))
    return found


def _drawn(name: str, matrix: Matrix) -> Chart:
    return Chart.drawn(
        name,
        matrix.title,
        matrix.description,
        lambda name, width: draw(matrix, name, width),
        matrix.table(),
        shrinks=False,
    )


def _description(flips: Flipped, n: int) -> str:
    text = (
        f"{flips.n:,} of {words.count(n, 'prediction')} changed; those that did not stand in the"
        " framed cells of the diagonal."
    )
    if flips.driven_to:
        name, share = next(iter(flips.driven_to.items()))
        text += f" Most changes end at {words.legible(name)}: {words.with_interval(share)} of them."
    return text
