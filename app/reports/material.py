"""What a report is written from, whatever its format."""

from dataclasses import dataclass
from pathlib import Path

from app.audits.report import Report


@dataclass(frozen=True)
class Material:
    """A report and the files beside it.

    Attributes:
        folder: of what the audit found: its rows and artifacts.
        base_url: of the service, for links, with a slash at its end.
        fonts: a folder of fonts for scripts that the typesetter's own do not have; None for none.
    """

    report: Report
    folder: Path
    base_url: str
    fonts: Path | None = None
