"""Figures one below the other, each with its interval: a forest plot."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from app.reports import words
from app.reports.charts.canvas import Canvas, Style, fitting, width_of
from app.reports.charts.chart import WIDE
from models.audit.figure import Figure

ROW: Final = 24.0
DOTS: Final = 9.0
"""From the figure of a row to the next one of it."""
TOP: Final = 44.0
BOTTOM: Final = 26.0


@dataclass(frozen=True)
class Row:
    """What stands on a line: a name, and a figure for each series."""

    name: str
    figures: Sequence[Figure | None]


@dataclass(frozen=True)
class Forest:
    """What is drawn.

    Attributes:
        quantity: that the figures are.
        series: their names and styles, one for each figure of a row.
        signed: whether figures may be negative, so that 0 is in the middle.
    """

    title: str
    description: str
    quantity: str
    series: Sequence[tuple[str, Style]]
    rows: Sequence[Row]
    signed: bool = False


def draw(forest: Forest, name: str, width: int) -> Markup:
    """The drawing."""
    side = min(max(width_of(row.name) for row in forest.rows) + 12, width * 0.42)
    numbers = 142.0 if width >= WIDE and len(forest.series) == 1 else 0.0
    each = max(ROW, DOTS * len(forest.series) + 12)
    height = TOP + each * len(forest.rows)
    canvas = Canvas(
        name, width, height + BOTTOM, title=forest.title, description=forest.description
    )
    low, high = _ends(forest)
    left, right = side + 8, width - numbers - 12

    def x(value: float) -> float:
        return left + (min(max(value, low), high) - low) / (high - low) * (right - left)

    canvas.text(0, 12, fitting(forest.quantity, width), bold=True)
    _key(canvas, forest, width)
    for tick in _ticks(low, high):
        canvas.line((x(tick), TOP - 8), (x(tick), height), faint=tick != 0 or not forest.signed)
        canvas.text(x(tick), height + 16, words.tick(tick), anchor="middle", size=11)
    for n, row in enumerate(forest.rows):
        middle = TOP + each * (n + 0.5)
        canvas.text(side, middle + 4, fitting(row.name, side), anchor="end")
        first = middle - DOTS * (len(forest.series) - 1) / 2
        for place, (figure, (_, style)) in enumerate(zip(row.figures, forest.series, strict=True)):
            if figure is None or figure.value is None:
                continue
            y = first + DOTS * place
            if figure.interval is not None:
                canvas.whisker(y, x(figure.interval[0]), x(figure.interval[1]), style, flat=True)
            canvas.mark(x(figure.value), y, style)
        if numbers:
            canvas.text(
                width, middle + 4, words.with_interval(row.figures[0]), anchor="end", size=11
            )
    return canvas.svg()


def _key(canvas: Canvas, forest: Forest, width: int) -> None:
    """Which mark is which, where there are several."""
    if len(forest.series) == 1:
        canvas.text(0, 28, "bars: 95 % intervals", size=11, faint=True)
        return
    at = 6.0
    room = (width - 10) / len(forest.series)
    for name, style in forest.series:
        canvas.mark(at, 24, style)
        text = fitting(name, room - 20, 11)
        canvas.text(at + 10, 28, text, size=11)
        at += min(room, width_of(text, 11) + 28)


def _ends(forest: Forest) -> tuple[float, float]:
    """Where the axis begins and ends: a share from 0 to 1, a difference evenly about 0."""
    if not forest.signed:
        return 0.0, 1.0
    told = [
        abs(end)
        for row in forest.rows
        for figure in row.figures
        if figure is not None and figure.value is not None
        for end in (figure.value, *(figure.interval or ()))
    ]
    most = min(1.0, max(0.2, math.ceil(max(told, default=1.0) * 5) / 5))
    return -most, most


def _ticks(low: float, high: float) -> list[float]:
    step = 0.2 if high - low <= 1.2 else 0.5
    count = round((high - low) / step)
    return [round(low + step * n, 6) for n in range(count + 1)]
