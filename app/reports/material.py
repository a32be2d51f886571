"""What a report is written from, whatever its format."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.audits.report import Report


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """Of the host, where no data folder is at hand."""
    with tempfile.TemporaryDirectory(prefix="serval-report-") as name:
        yield Path(name)


@dataclass(frozen=True)
class Material:
    """A report and the files beside it.

    Attributes:
        folder: of what the audit found: its rows and artifacts.
        base_url: of the service, for links, with a slash at its end.
        fonts: a folder of fonts for scripts that the typesetter's own do not have; None for none.
        scratch: an empty folder to work in, which goes afterwards.
    """

    report: Report
    folder: Path
    base_url: str
    fonts: Path | None = None
    scratch: Callable[[], AbstractContextManager[Path]] = temporary_folder
