"""A study's result as CSV, Markdown and LaTeX, from the same typed tables; JSON is the model."""

from collections.abc import Callable, Mapping
from typing import Final

from models.studies.rendering.csv import as_csv
from models.studies.rendering.latex import as_latex
from models.studies.rendering.markdown import as_markdown
from models.studies.result import StudyResult

RENDERERS: Final[Mapping[str, Callable[[StudyResult], str]]] = {
    "json": StudyResult.model_dump_json,
    "csv": as_csv,
    "markdown": as_markdown,
    "latex": as_latex,
}
"""How a result is written, by the name of the format."""

MEDIA_TYPES: Final[Mapping[str, str]] = {
    "json": "application/json",
    "csv": "text/csv; charset=utf-8",
    "markdown": "text/markdown; charset=utf-8",
    "latex": "application/x-latex; charset=utf-8",
}
"""Of each format."""

__all__ = ["MEDIA_TYPES", "RENDERERS", "as_csv", "as_latex", "as_markdown"]
