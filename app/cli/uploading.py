"""A file on its way to the service, and a bar that shows how far it is."""

from typing import IO

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from app.cli.output import err_console


def upload_bar(*, silent: bool) -> Progress:
    """A bar for `ToldFile`; nothing is shown off a terminal, or if it is ``silent``."""
    console = err_console()
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=console,
        disable=not console.is_terminal or silent,
    )


class ToldFile:
    """A file that tells a progress bar how much of it was read.

    Args:
        then: what the service does when it has it all.
    """

    def __init__(self, file: IO[bytes], progress: Progress, *, then: str) -> None:
        self._file = file
        self._progress = progress
        self._then = then
        size = file.seek(0, 2)
        file.seek(0)
        self._task = progress.add_task("Uploading", total=size)

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self._progress.update(self._task, advance=len(data))
        if not data:
            self._progress.update(self._task, description=f"Uploaded; {self._then}")
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def fileno(self) -> int:
        return self._file.fileno()
