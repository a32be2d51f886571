"""Figure 3 of a study: UAR of its models against ε, one drawing for each attack and partition.

The paper draws models that were trained without a defence; here are all of them. Where they are too
many to be told apart, those without a defence share a drawing, as in the paper, and each network
has one of its own.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from app.reports import words
from app.reports.charts.canvas import Style
from app.reports.charts.chart import Chart, Table
from app.reports.charts.curves import COLUMNS
from app.reports.charts.plot import Level, Plot, Series, draw
from models.audit.figure import Figure
from models.studies.answers import NAMES
from models.studies.estimate import Estimate
from models.studies.findings import SINGLE
from models.studies.tables.curves import Curve, CurvesTable
from models.studies.tables.table import Entry
from models.threats import AXES

MOST_SERIES: Final = 12
"""Of a drawing."""


def robustness(found: CurvesTable, emotions: int) -> list[Chart]:
    """All drawings of a study.

    Args:
        emotions: that its models tell apart; a guess has a UAR of one over that. Less than two
            where it is not known: then there is no line for it.
    """
    return [_chart(panel, emotions) for panel in _panels(found.curves)]


@dataclass(frozen=True)
class _Panel:
    """What one drawing shows.

    Attributes:
        of: what its models have in common; "" for all of the study.
    """

    curves: Sequence[Curve]
    of: str = ""


def _panels(curves: Sequence[Curve]) -> Iterator[_Panel]:
    """By attack and partition, and where there are many models, as the module says."""
    by: dict[tuple[str, str], list[Curve]] = {}
    for one in curves:
        by.setdefault((one.change, one.partition), []).append(one)
    for every in by.values():
        if len(every) <= MOST_SERIES:
            yield _Panel(every)
            continue
        single = [one for one in every if one.training == SINGLE]
        if len(single) > 1:
            yield _Panel(single, SINGLE)
        for network in dict.fromkeys(one.architecture for one in every):
            yield _Panel([one for one in every if one.architecture == network], network)


def _chart(panel: _Panel, emotions: int) -> Chart:
    curves, first = panel.curves, panel.curves[0]
    title = f"UAR against ε, {NAMES[first.change]}, {first.partition}"
    title += f" ({panel.of})" if panel.of else ""
    plot = Plot(
        title=title,
        description=_description(curves),
        quantity="UAR",
        across=AXES["features", "linf"],
        taken_of=_taken_of(curves),
        series=[_series(number, one) for number, one in enumerate(curves)],
        smaller_is_harder=False,
        levels=_chance(emotions),
    )
    name = ["robustness", first.change.replace("_", "-"), first.partition, panel.of]
    return Chart.drawn(
        "-".join(filter(None, name)),
        title,
        plot.description,
        lambda name, width: draw(plot, name, width),
        Table(title, COLUMNS, tuple(_rows(curves)), _notes(curves)),
    )


def _chance(emotions: int) -> list[Level]:
    return [Level(f"chance {words.number(1 / emotions)}", 1 / emotions)] if emotions > 1 else []


def _series(number: int, curve: Curve) -> Series:
    """The noise has the style of what has no adversary."""
    points = [
        (point.epsilon, _figure(point.entry.estimate))
        for point in curve.points
        if point.entry.estimate is not None
    ]
    return Series(curve.model, points, Style.of(number, control=curve.change == "noise"))


def _figure(found: Estimate) -> Figure:
    """As charts have it."""
    return Figure(
        value=found.value,
        interval=found.interval,
        n=found.n,
        n_speakers=found.n_speakers,
        method="bootstrap_speakers" if found.drawn.startswith("speakers") else "bootstrap_clips",
    )


def _known(curves: Sequence[Curve]) -> list[Estimate]:
    found = (point.entry.estimate for curve in curves for point in curve.points)
    return [one for one in found if one is not None]


def _taken_of(curves: Sequence[Curve]) -> str:
    """The fewest clips and seeds of any figure."""
    known = _known(curves)
    least = min(known, key=lambda one: one.n)
    seeds = sorted({len(one.seeds) for one in known})
    told = words.count(seeds[0], "seed") if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]} seeds"
    return f"{words.taken_of(_figure(least))}, {told}; bars: 95 % intervals"


def _rows(curves: Sequence[Curve]) -> Iterator[tuple[str, ...]]:
    for curve in curves:
        for point in curve.points:
            at = "none" if point.epsilon is None else f"{words.compact(point.epsilon)} σ"
            yield (curve.model, at, *_cells(point.entry))


def _cells(entry: Entry) -> tuple[str, str, str, str]:
    if entry.estimate is None:
        return (words.NOTHING,) * 4
    figure = _figure(entry.estimate)
    speakers = words.NOTHING if figure.n_speakers is None else f"{figure.n_speakers:,}"
    return (words.number(figure.value), words.interval(figure), f"{figure.n:,}", speakers)


def _notes(curves: Sequence[Curve]) -> str:
    """Why figures are missing, each reason once."""
    whys = dict.fromkeys(
        point.entry.missing for curve in curves for point in curve.points if point.entry.missing
    )
    return " ".join(f"No figure: {words.legible(str(why), 300)}." for why in whys)


def _description(curves: Sequence[Curve]) -> str:
    """Each model on real clips and at its strongest attack."""
    told = []
    for curve in curves:
        known = [point for point in curve.points if point.entry.estimate is not None]
        ends = [
            f"{words.number(point.entry.estimate.value)} at"
            f" {'0' if point.epsilon is None else words.compact(point.epsilon)} σ"
            for point in (known[0], known[-1])
            if point.entry.estimate is not None
        ]
        told.append(f"{curve.model}: {', '.join(ends)}.")
    return " ".join(told)
