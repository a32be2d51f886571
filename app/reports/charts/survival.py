"""The share of the clips that still stands at each strength, from the weakest on."""

from collections.abc import Iterator

from app.reports import words
from app.reports.charts.canvas import Style
from app.reports.charts.chart import Chart, Table
from app.reports.charts.curves import smaller_is_harder, threats
from app.reports.charts.plot import Plot, Series, draw
from models.audit.figure import Figure
from models.audit.measures.smallest import Minimum
from models.audit.result import AuditSummary, Threat


def survival(result: AuditSummary) -> list[Chart]:
    """A chart for each threat model in which smallest strengths were sought."""
    found = [_chart(result, threat, number) for number, threat in enumerate(threats(result), 1)]
    return [chart for chart in found if chart is not None]


def _chart(result: AuditSummary, threat: Threat, number: int) -> Chart | None:
    sought = [
        one
        for one in result.minimum
        if one.survival and result.attacks[one.attack].threat == threat
    ]
    if not sought:
        return None
    series = list(_series(result, sought))
    before = max(one.right_before for one in sought)
    plot = Plot(
        title=f"Clips that still stand at a strength: {words.threat_name(threat)}",
        description=" ".join(_told(result, one) for one in sought),
        quantity="Share that stands",
        across=words.axis(threat),
        taken_of=f"n = {words.count(before, 'clip')} right before; bands: 95 % intervals",
        series=series,
        smaller_is_harder=smaller_is_harder(result.attacks, threat),
    )
    return Chart.drawn(
        f"survival-{number}",
        plot.title,
        plot.description,
        lambda name, width: draw(plot, name, width),
        _table(series, threat),
    )


def _series(result: AuditSummary, sought: list[Minimum]) -> Iterator[Series]:
    names = words.attack_names(result.attacks)
    for one in sought:
        start = Figure(
            value=1.0, interval=None, n=one.right_before, n_speakers=None, method="wilson"
        )
        yield Series(
            names[one.attack],
            [(None, start), *((point.strength, point.surviving) for point in one.survival)],
            Style.of(one.attack + 1, control=result.attacks[one.attack].control),
            banded=len(sought) == 1,
            stepped=True,
        )


def _told(result: AuditSummary, one: Minimum) -> str:
    name = words.attack_names(result.attacks)[one.attack]
    threat = result.attacks[one.attack].threat
    half = (
        "more than half of the clips stand at the strongest"
        if one.median is None
        else f"half of the clips are broken at {words.strength(one.median, threat)}"
    )
    return f"{name}: {half}; {one.unbroken} of {words.count(one.right_before, 'clip')} unbroken."


def _table(series: list[Series], threat: Threat) -> Table:
    return Table(
        f"Clips that still stand, {words.threat_name(threat)}",
        ("attack", "strength", "share that stands", "95 % interval", "clips"),
        tuple(
            (
                one.name,
                words.strength(strength, threat),
                words.number(figure.value),
                words.interval(figure),
                f"{figure.n:,}",
            )
            for one in series
            for strength, figure in one.points
            if strength is not None
        ),
    )
