"""A share against strength, as curves and survival curves have it: axes, bands, marks and names."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from markupsafe import Markup

from app.reports import words
from app.reports.charts.canvas import SIZE, Canvas, Point, Style, fitting, width_of
from app.reports.charts.strengths import StrengthAxis
from models.audit.figure import Figure

TOP: Final = 26.0
BOTTOM: Final = 48.0
LEFT: Final = 44.0
HEIGHT: Final = 250.0
"""Of the part with the curves."""
LINE: Final = 16.0
"""From a name to the next one below."""
ASIDE: Final = 5.0
"""Pixels between the bars of two series at one strength."""
TICKS: Final = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


@dataclass(frozen=True)
class Series:
    """What is drawn as one line.

    Attributes:
        name: written at its end.
        points: strength and figure; None for the clips as they are.
        banded: whether its intervals are a band, and not bars.
        stepped: whether it stays as it is up to the next strength.
    """

    name: str
    points: Sequence[tuple[float | None, Figure]]
    style: Style
    banded: bool = False
    stepped: bool = False


@dataclass(frozen=True)
class Level:
    """A line across, such as chance."""

    name: str
    value: float
    dash: str = "1 4"


@dataclass(frozen=True)
class Plot:
    """All that is drawn.

    Attributes:
        title: what a screen reader says first.
        quantity: on the upright axis.
        across: on the other one.
        taken_of: n, speakers and what the bands are.
    """

    title: str
    description: str
    quantity: str
    across: str
    taken_of: str
    series: Sequence[Series]
    smaller_is_harder: bool
    levels: Sequence[Level] = field(default_factory=tuple)

    @property
    def strengths(self) -> list[float]:
        """All that are drawn, each once."""
        return sorted({s for one in self.series for s, _ in one.points if s is not None})


def draw(plot: Plot, name: str, width: int) -> Markup:
    """The drawing."""
    names = [*(one.name for one in plot.series), *(one.name for one in plot.levels)]
    room = min(max(map(width_of, names)) + 26, width * 0.34)
    height = max(HEIGHT, LINE * len(names))
    bottom = BOTTOM if told_above(plot, width) else BOTTOM + 28
    canvas = Canvas(
        name, width, TOP + height + bottom, title=plot.title, description=plot.description
    )
    axis = StrengthAxis.of(
        plot.strengths,
        smaller_is_harder=plot.smaller_is_harder,
        left=LEFT + 8,
        right=width - room - 8,
    )
    _Drawing(canvas, plot, axis, height, width - room).draw(room)
    return canvas.svg()


def told_above(plot: Plot, width: float) -> bool:
    """Whether what the figures are taken of has room beside the quantity."""
    return width_of(plot.quantity) + 14 + width_of(plot.taken_of, 11) <= width


@dataclass(frozen=True)
class _Drawing:
    """One drawing under way: ``right`` is where the field of the curves ends."""

    canvas: Canvas
    plot: Plot
    axis: StrengthAxis
    height: float
    right: float

    def draw(self, room: float) -> None:
        self._frame()
        for level in self.plot.levels:
            self.canvas.line(
                (LEFT, self._y(level.value)), (self.right, self._y(level.value)), dash=level.dash
            )
        for one in self.plot.series:
            self._intervals(one)
        for one in self.plot.series:
            self._line(one)
        self._names(room)

    def _y(self, value: float) -> float:
        return TOP + self.height * (1 - min(max(value, 0.0), 1.0))

    def _x(self, strength: float | None, aside: float = 0.0) -> float:
        return self.axis.clean if strength is None else self.axis.at(strength) + aside

    def _aside(self, one: Series) -> float:
        """By how much the bars of a series stand aside, so that none lies on another's."""
        barred = [series for series in self.plot.series if not series.banded]
        if one.banded or len(barred) < 2:
            return 0.0
        return (barred.index(one) - (len(barred) - 1) / 2) * min(ASIDE, 16 / len(barred))

    def _ordered(self, one: Series) -> list[tuple[float | None, Figure]]:
        """From left to right: a gain has the clips as they are in the middle."""
        return sorted(one.points, key=lambda point: self._x(point[0]))

    def _frame(self) -> None:
        canvas, bottom = self.canvas, TOP + self.height
        canvas.text(0, 12, self.plot.quantity, bold=True)
        quantity = width_of(self.plot.quantity) + 14
        if told_above(self.plot, canvas.width):
            canvas.text(quantity, 12, self.plot.taken_of, size=11, faint=True)
        else:
            for n, line in enumerate(self.plot.taken_of.split("; ")):
                canvas.text(0, bottom + 56 + 14 * n, line, size=11, faint=True)
        for tick in TICKS:
            canvas.line((LEFT, self._y(tick)), (self.right, self._y(tick)), faint=True)
            canvas.text(LEFT - 6, self._y(tick) + 4, words.tick(tick), anchor="end", size=11)
        canvas.line((LEFT, bottom), (self.right, bottom))
        for place, text in self.axis.ticks(self.plot.strengths):
            canvas.line((place, bottom), (place, bottom + 4))
            canvas.text(place, bottom + 18, text, anchor="middle", size=11)
        if self.axis.apart:  # the axis is broken between the clips as they are and the rest
            middle = self.axis.left + 17
            canvas.line((middle - 4, bottom + 5), (middle, bottom - 5))
            canvas.line((middle + 1, bottom + 5), (middle + 5, bottom - 5))
        canvas.text(LEFT, bottom + 38, fitting(self.plot.across, canvas.width - LEFT), faint=True)

    def _intervals(self, one: Series) -> None:
        known = [(s, f.interval) for s, f in self._ordered(one) if f.interval is not None]
        if one.banded and len(known) > 1:
            sides = [[(self._x(s), self._y(ends[side])) for s, ends in known] for side in (0, 1)]
            lower, upper = (_steps(side) if one.stepped else side for side in sides)
            self.canvas.band(lower, upper, one.style)
            return
        aside = self._aside(one)
        for s, (low, high) in known:
            if s is not None or self._has_the_clean_bar(one):
                self.canvas.whisker(self._x(s, aside), self._y(low), self._y(high), one.style)

    def _has_the_clean_bar(self, one: Series) -> bool:
        """The interval of the clips as they are is drawn once: by a band, or else by the first."""
        return one is self.plot.series[0] and not any(each.banded for each in self.plot.series)

    def _line(self, one: Series) -> None:
        aside = self._aside(one)
        told = [
            (self._x(s, aside), self._y(f.value))
            for s, f in self._ordered(one)
            if f.value is not None
        ]
        self.canvas.curve(_steps(told) if one.stepped else told, one.style)
        for x, y in told:
            self.canvas.mark(x, y, one.style)

    def _names(self, room: float) -> None:
        """At the ends of the lines, moved apart where they would lie over each other."""
        ends: list[tuple[float, float, str, Style | None]] = []
        for one in self.plot.series:
            last = [(s, f.value) for s, f in self._ordered(one) if f.value is not None]
            if last:
                ends.append((self._x(last[-1][0]), self._y(last[-1][1]), one.name, one.style))
        ends.extend(
            (self.right, self._y(level.value), level.name, None) for level in self.plot.levels
        )
        ends.sort(key=lambda end: end[1])
        places = spread([y for _, y, _, _ in ends], LINE, TOP, TOP + self.height)
        for (x, y, name, style), place in zip(ends, places, strict=True):
            left = self.right + 4
            self.canvas.line((x + 6, y), (left, place), faint=True)
            if style is not None:
                self.canvas.mark(left + 6, place, style)
            text = fitting(name, room - 20, SIZE)
            self.canvas.text(left + 16, place + 4, text)


def spread(wanted: Sequence[float], gap: float, top: float, bottom: float) -> list[float]:
    """Places near the wanted ones, in their order, at least ``gap`` apart, from ``top`` to
    ``bottom`` if there is room.

    Args:
        wanted: in ascending order.
    """
    places: list[float] = []
    for place in wanted:
        places.append(max(place, places[-1] + gap) if places else max(place, top))
    limit = bottom
    for n in reversed(range(len(places))):
        places[n] = min(places[n], limit)
        limit = places[n] - gap
    return places


def _steps(points: Sequence[Point]) -> list[Point]:
    """Through the points, flat up to the place of the next one."""
    found = list(points[:1])
    for x, y in points[1:]:
        found += [(x, found[-1][1]), (x, y)]
    return found
