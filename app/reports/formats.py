"""The forms that a report has, one file each."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from app.reports import html, json, pdf
from app.reports.material import Material


@dataclass(frozen=True)
class Format:
    """A form of a report.

    Attributes:
        media_type: of the answer, without parameters.
        write: makes the file.
        attachment: whether a browser saves it, and does not show it.
        headers: of the answer.
    """

    media_type: str
    write: Callable[[Material], bytes]
    attachment: bool = True
    headers: Mapping[str, str] = field(default_factory=dict)


FORMATS: Final[Mapping[str, Format]] = {
    "json": Format("application/json", json.write, attachment=False),
    "html": Format("text/html", html.write, headers={"Content-Security-Policy": html.SANDBOX}),
    "pdf": Format("application/pdf", pdf.write),
}
"""By the name that a request gives; the first is answered where none is asked for."""
