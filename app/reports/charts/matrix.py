"""Counts of clips in rows and columns: each cell has its number, and is the darker the larger its
share of the row."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from markupsafe import Markup

from app.reports.charts.canvas import Canvas, fitting, width_of
from app.reports.charts.chart import Table

MOST: Final = 16
"""Emotions that are drawn: more have no room for their numbers."""
CELL: Final = 44.0
CELL_HEIGHT: Final = 28.0
HEAD: Final = 74.0


@dataclass(frozen=True)
class Matrix:
    """What is drawn.

    Attributes:
        rows, columns: what the two sides are.
        cells: a row for each name, a column for each.
        framed: what the cells on the diagonal are.
    """

    title: str
    description: str
    rows: str
    columns: str
    names: Sequence[str]
    cells: Sequence[Sequence[int]]
    framed: str

    @classmethod
    def of_largest(
        cls,
        title: str,
        description: str,
        *,
        rows: str,
        columns: str,
        names: Sequence[str],
        cells: Sequence[Sequence[int]],
        framed: str,
    ) -> "Matrix":
        """Of the `MOST` names that have the most clips in row and column, in their order."""
        total = [sum(cells[n]) + sum(row[n] for row in cells) for n in range(len(names))]
        largest = sorted(range(len(names)), key=lambda n: (-total[n], n))[:MOST]
        kept = sorted(largest)
        if len(kept) < len(names):
            description += f" Of {len(names)} emotions, the {MOST} with the most clips are shown."
        return cls(
            title,
            description,
            rows,
            columns,
            [names[n] for n in kept],
            [[cells[row][column] for column in kept] for row in kept],
            framed,
        )

    def table(self) -> Table:
        """The same as a table."""
        rows = tuple(
            (name, *(f"{cell:,}" for cell in cells))
            for name, cells in zip(self.names, self.cells, strict=True)
        )
        note = self.description
        return Table(self.title, (f"{self.rows} ↓ {self.columns} →", *self.names), rows, note)


def draw(matrix: Matrix, name: str, width: int) -> Markup:
    """The drawing: as wide as its cells need, up to ``width`` if it can."""
    count = len(matrix.names)
    side = min(max(map(width_of, matrix.names)) + 12, 110.0)
    cell = max(26.0, min(CELL, (width - side - 22) / count))
    canvas = Canvas(
        name,
        22 + side + cell * count + 4,
        HEAD + 18 + CELL_HEIGHT * count + 6,
        title=matrix.title,
        description=matrix.description,
    )
    left, top = 22 + side, HEAD + 18
    canvas.text(left, 12, f"{matrix.columns} →", faint=True)
    canvas.text(12, top + CELL_HEIGHT * count, f"{matrix.rows} →", faint=True, turned=True)
    for n, (label, cells) in enumerate(zip(matrix.names, matrix.cells, strict=True)):
        y, all_of_row = top + n * CELL_HEIGHT, max(1, sum(cells))
        canvas.text(left - 6, y + CELL_HEIGHT / 2 + 4, fitting(label, side - 8), anchor="end")
        x = left + (n + 0.5) * cell
        canvas.text(x + 4, top - 6, fitting(label, HEAD - 4), turned=True)
        for m, clips in enumerate(cells):
            canvas.cell(left + m * cell, y, cell, CELL_HEIGHT, clips / all_of_row, framed=n == m)
            if clips:
                canvas.text(
                    left + (m + 0.5) * cell, y + CELL_HEIGHT / 2 + 4, f"{clips}", anchor="middle"
                )
    return canvas.svg()
