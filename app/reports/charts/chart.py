"""What a chart is: drawn for wide and for narrow columns, and written as a table."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

WIDE: Final = 640
"""Of a drawing, in CSS pixels: half of a screen, or a page of paper."""
NARROW: Final = 332
"""Of the drawing for telephones, whose letters stay as large."""


@dataclass(frozen=True)
class Table:
    """The figures of a chart. The first cell of each row says what the row is of.

    Attributes:
        caption: what it shows.
        columns: their heads.
        rows: as many cells each as there are columns.
        note: what else a reader should know; "" for nothing.
    """

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


@dataclass(frozen=True)
class Chart:
    """A picture that says the same as its table.

    Attributes:
        name: of lower-case letters, digits and hyphens; one in a report.
        title: what is seen.
        description: the same in a sentence or two, for who does not see it.
        svg: `WIDE` or as wide as it needs; a document of its own.
        narrow: the same for `NARROW` columns.
        table: the figures.
        shrinks: whether it may be drawn smaller than it is; else it is to be scrolled.
    """

    name: str
    title: str
    description: str
    svg: Markup
    narrow: Markup
    table: Table
    shrinks: bool = True

    @classmethod
    def drawn(
        cls,
        name: str,
        title: str,
        description: str,
        draw: Callable[[str, int], Markup],
        table: Table,
        *,
        shrinks: bool = True,
    ) -> "Chart":
        """Drawn in both widths.

        Args:
            draw: given the name of the drawing and its width in pixels.
        """
        return cls(
            name,
            title,
            description,
            draw(name, WIDE),
            draw(f"{name}-narrow", NARROW),
            table,
            shrinks,
        )
