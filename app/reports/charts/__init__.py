"""Charts of a report, one kind a file. Each is an SVG and a table of the same figures.

The SVG stands in a page or in a file of its own: it has no script, no style attribute and no font
of its own. Marks and dashes tell series apart, so that it is readable in black and white; a page
may colour the classes ``c0`` to ``c5``.
"""

from app.reports.charts.chart import Chart, Table
from app.reports.charts.confusion import confusion
from app.reports.charts.curves import curves
from app.reports.charts.flips import flip_matrices
from app.reports.charts.gaps import gaps
from app.reports.charts.groups import groups
from app.reports.charts.recalls import recalls
from app.reports.charts.survival import survival

__all__ = [
    "Chart",
    "Table",
    "confusion",
    "curves",
    "flip_matrices",
    "gaps",
    "groups",
    "recalls",
    "survival",
]
