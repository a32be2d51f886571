"""An SVG, put together shape by shape. All text in it is escaped, and all of it is ASCII-safe XML.

Colours are attributes and classes, never a style: a page with a strict Content-Security-Policy
shows it, and a page may colour the classes for a dark screen. Ink is ``currentColor``, which is
black where nobody says otherwise.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from markupsafe import Markup, escape

from app.reports.words import legible

Anchor = Literal["start", "middle", "end"]
Point = tuple[float, float]

FONTS: Final = "system-ui, 'DejaVu Sans', 'Libertinus Serif', sans-serif"
"""A page's own, or whichever of those a typesetter has."""
SIZE: Final = 12.0
"""Of letters, in pixels."""
LETTER: Final = 0.58
"""Width of a letter over its size: an upper end for sans-serif faces."""
WIDE_LETTER: Final = 1.05
"""The same of Chinese, Japanese and Korean ones."""
COLOURS: Final = ("#0b57a4", "#b5390c", "#00705a", "#86348c", "#7a5900", "#475569")
"""On white, each with a contrast of 4.5 or more."""
DASHES: Final = ("", "7 4", "3 2", "9 3 2 3", "12 4", "9 2 2 2 2 2")
OF_CONTROLS: Final = "1.5 3"
MARKS: Final = ("circle", "square", "triangle", "diamond", "wedge", "cross", "plus", "star")


@dataclass(frozen=True)
class Style:
    """How a series is told from others.

    Attributes:
        number: of its colour.
        mark: one of `MARKS`.
        dash: of its line.
        filled: whether its marks are: those of controls are not.
        width: of its line.
    """

    number: int
    mark: str
    dash: str
    filled: bool
    width: float = 1.6

    @classmethod
    def of(cls, number: int, *, control: bool = False) -> "Style":
        """Of the attack of that number: 48 of a kind differ."""
        return cls(
            number % len(COLOURS),
            MARKS[(number + number // len(MARKS)) % len(MARKS)],
            OF_CONTROLS if control else DASHES[number % len(DASHES)],
            filled=not control,
        )

    @property
    def colour(self) -> str:
        """On white."""
        return COLOURS[self.number]


WORST: Final = Style(0, "circle", "", filled=True, width=2.6)
"""Of the worst case of a threat model."""


def width_of(text: str, size: float = SIZE) -> float:
    """About how wide a text is, in pixels; rather too wide than too narrow."""
    wide = sum(ord(letter) >= 0x1100 for letter in text)
    return size * (wide * WIDE_LETTER + (len(text) - wide) * LETTER)


def fitting(text: str, width: float, size: float = SIZE) -> str:
    """As much of a text as has room in ``width`` pixels, on one line."""
    line = legible(text)
    if width_of(line, size) <= width:
        return line
    while line and width_of(f"{line}…", size) > width:
        line = line[:-1]
    return f"{line}…"


class Canvas:
    """A drawing.

    Args:
        name: of lower-case letters, digits and hyphens; one in a page.
        width, height: in pixels.
        title, description: what a screen reader says in its place.
    """

    def __init__(
        self, name: str, width: float, height: float, *, title: str, description: str
    ) -> None:
        self.name = name
        self.width = width
        self.height = height
        self._title = title
        self._description = description
        self._parts: list[Markup] = []

    def svg(self) -> Markup:
        """The document."""
        w, h = _n(self.width), _n(self.height)
        head = Markup(
            '<svg xmlns="http://www.w3.org/2000/svg" role="img" viewBox="0 0 {w} {h}"'
            ' width="{w}" height="{h}" font-family="{fonts}" font-size="{size}"'
            ' aria-labelledby="{name}-title {name}-desc">'
            '<title id="{name}-title">{title}</title><desc id="{name}-desc">{desc}</desc>'
        ).format(
            w=w,
            h=h,
            fonts=FONTS,
            size=_n(SIZE),
            name=self.name,
            title=legible(self._title, 200),
            desc=legible(self._description, 2000),
        )
        return head + Markup("").join(self._parts) + Markup("</svg>")

    def text(
        self,
        x: float,
        y: float,
        text: str,
        *,
        anchor: Anchor = "start",
        size: float = SIZE,
        bold: bool = False,
        faint: bool = False,
        turned: bool = False,
    ) -> None:
        """A line of text whose baseline begins, has its middle or ends at a point.

        Args:
            turned: to be read from below.
        """
        more = Markup(' font-weight="700"') if bold else Markup("")
        more += Markup(' class="faint" fill-opacity="0.78"') if faint else Markup("")
        if turned:
            more += Markup(' transform="rotate(-90 {} {})"').format(_n(x), _n(y))
        self._parts.append(
            Markup(
                '<text x="{}" y="{}" text-anchor="{}" font-size="{}" fill="currentColor"{}>'
                "{}</text>"
            ).format(_n(x), _n(y), anchor, _n(size), more, legible(text, 300))
        )

    def line(
        self, start: Point, end: Point, *, faint: bool = False, dash: str = "", width: float = 1.0
    ) -> None:
        """A straight line of ink."""
        self._parts.append(
            Markup(
                '<line x1="{}" y1="{}" x2="{}" y2="{}" stroke="currentColor" stroke-width="{}"'
                "{}{}/>"
            ).format(
                *map(_n, (*start, *end)),
                _n(width),
                Markup(' stroke-opacity="0.18"') if faint else Markup(""),
                _dash(dash),
            )
        )

    def curve(self, points: Sequence[Point], style: Style) -> None:
        """A series' line."""
        if len(points) < 2:
            return
        self._parts.append(
            Markup(
                '<polyline points="{}" fill="none" class="c{}" stroke="{}" stroke-width="{}"{}/>'
            ).format(
                _points(points), style.number, style.colour, _n(style.width), _dash(style.dash)
            )
        )

    def band(self, low: Sequence[Point], high: Sequence[Point], style: Style) -> None:
        """What lies between two lines: faint, with edges in the dash of its series, so that it is
        seen in black and white."""
        if len(low) < 2:
            return
        self._parts.append(
            Markup(
                '<polygon points="{}" class="b{}" fill="{}" fill-opacity="0.13" stroke="none"/>'
            ).format(_points([*low, *reversed(high)]), style.number, style.colour)
        )
        for edge in (low, high):
            self._parts.append(
                Markup(
                    '<polyline points="{}" fill="none" class="c{}" stroke="{}" stroke-width="0.7"'
                    ' stroke-opacity="0.75"{}/>'
                ).format(_points(edge), style.number, style.colour, _dash(style.dash or "1 2"))
            )

    def whisker(
        self, x: float, low: float, high: float, style: Style, *, flat: bool = False
    ) -> None:
        """An interval: upright at ``x`` from ``low`` to ``high``, or flat at the height ``x``."""
        ends = [(x, low), (x, high)]
        caps = [[(x - 3, end), (x + 3, end)] for end in (low, high)]
        for one in (ends, *caps):
            (x1, y1), (x2, y2) = ((y, x) for x, y in one) if flat else one
            self._parts.append(
                Markup(
                    '<line x1="{}" y1="{}" x2="{}" y2="{}" class="c{}" stroke="{}"'
                    ' stroke-width="1.1"/>'
                ).format(*map(_n, (x1, y1, x2, y2)), style.number, style.colour)
            )

    def mark(self, x: float, y: float, style: Style, radius: float = 4.0) -> None:
        """A point of a series."""
        if style.mark in _OUTLINES:
            shape = Markup('<polygon points="{}"').format(
                _points([(x + dx * radius, y + dy * radius) for dx, dy in _OUTLINES[style.mark]])
            )
        elif style.mark in _STROKES:
            path = " ".join(
                f"M{_n(x + x1 * radius)} {_n(y + y1 * radius)}"
                f"L{_n(x + x2 * radius)} {_n(y + y2 * radius)}"
                for x1, y1, x2, y2 in _STROKES[style.mark]
            )
            shape = Markup('<path d="{}"').format(path)
        else:
            shape = Markup('<circle cx="{}" cy="{}" r="{}"').format(*map(_n, (x, y, radius)))
        inside = (
            Markup('class="c{0} f{0}" fill="{1}"').format(style.number, style.colour)
            if style.filled
            else Markup('class="c{} open" fill="#ffffff"').format(style.number)
        )
        self._parts.append(
            shape + Markup(' {} stroke="{}" stroke-width="1.4"/>').format(inside, style.colour)
        )

    def cell(
        self, x: float, y: float, width: float, height: float, share: float, *, framed: bool = False
    ) -> None:
        """A cell of a matrix: the darker, the larger the share; ``framed`` with a thick edge."""
        self._parts.append(
            Markup(
                '<rect x="{}" y="{}" width="{}" height="{}" class="heat" fill="{}"'
                ' fill-opacity="{}" stroke="currentColor" stroke-opacity="{}" stroke-width="{}"/>'
            ).format(
                *map(_n, (x, y, width, height)),
                COLOURS[0],
                _n(0.55 * share),
                "0.9" if framed else "0.2",
                "1.6" if framed else "0.6",
            )
        )


_OUTLINES: Final[dict[str, tuple[Point, ...]]] = {
    "square": ((-0.9, -0.9), (0.9, -0.9), (0.9, 0.9), (-0.9, 0.9)),
    "triangle": ((0, -1.1), (1.1, 0.9), (-1.1, 0.9)),
    "wedge": ((0, 1.1), (1.1, -0.9), (-1.1, -0.9)),
    "diamond": ((0, -1.3), (1.3, 0), (0, 1.3), (-1.3, 0)),
}
_STROKES: Final[dict[str, tuple[tuple[float, float, float, float], ...]]] = {
    "cross": ((-0.9, -0.9, 0.9, 0.9), (-0.9, 0.9, 0.9, -0.9)),
    "plus": ((0, -1.2, 0, 1.2), (-1.2, 0, 1.2, 0)),
    "star": ((0, -1.2, 0, 1.2), (-1.1, -0.6, 1.1, 0.6), (-1.1, 0.6, 1.1, -0.6)),
}


def _dash(dash: str) -> Markup:
    return Markup(' stroke-dasharray="{}"').format(dash) if dash else Markup("")


def _points(points: Sequence[Point]) -> str:
    return " ".join(f"{_n(x)},{_n(y)}" for x, y in points)


def _n(value: float) -> str:
    """A number as short as it may be: a tenth of a pixel is enough."""
    text = f"{value:.2f}" if abs(value) < 2 else f"{value:.1f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


__all__ = [
    "COLOURS",
    "SIZE",
    "WORST",
    "Anchor",
    "Canvas",
    "Point",
    "Style",
    "escape",
    "fitting",
    "width_of",
]
