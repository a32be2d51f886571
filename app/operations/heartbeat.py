"""The heartbeat of a background process: a file that its main loop touches while it can work.

Each process has a file of its own in the data folder, whose age is its health: one that hangs, or
that lacks the database, the queue or the data folder, lets it grow old. Where several workers of a
queue run on one host, the youngest file tells: at least one of them works.
"""

import os
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:  # `serval health` does not wait for it
    from app.settings import Settings

BEAT_SECONDS: Final = 5.0
"""How often a main loop comes by, at work or idle."""
STALE_SECONDS: Final = 45.0
"""A busy machine may delay a few beats; after nine of them nobody is there."""
FORGOTTEN_SECONDS: Final = 24 * 3600.0
"""Then the file of a process that was killed is removed, by whichever other begins or stops."""


class Heartbeats:
    """The files of all processes of one name on this host.

    Args:
        data_dir: of the service.
        name: of the processes: their queue, or "reconciler".
    """

    def __init__(self, data_dir: Path, name: str) -> None:
        self.folder = data_dir.absolute() / "heartbeats"
        self.prefix = f"{name}@{socket.gethostname()}."

    @classmethod
    def of(cls, settings: "Settings", name: str) -> "Heartbeats":
        """Those with these settings."""
        return cls(settings.data_dir, name)

    def mine(self) -> "Heartbeat":
        """That of this process."""
        return Heartbeat(self.folder / f"{self.prefix}{os.getpid()}")

    def why_not(self) -> str | None:
        """Why none of the processes is healthy, or None if one is."""
        try:
            ages = [time.time() - modified for modified in self._modified()]
        except OSError as error:
            return f"{self.folder} cannot be read ({error.strerror})."
        if not ages:
            return (
                f"there is no {self.folder / self.prefix}*: it has not started to work yet, or was"
                " stopped."
            )
        if min(ages) > STALE_SECONDS:
            return f"its last heartbeat was {min(ages):.0f} s ago, more than {STALE_SECONDS:g} s."
        return None

    def _modified(self) -> Iterator[float]:
        try:
            paths = list(self.folder.iterdir())
        except FileNotFoundError:
            return
        for path in paths:
            if path.name.startswith(self.prefix):
                with suppress(FileNotFoundError):  # it stopped just now
                    yield path.stat().st_mtime


class Heartbeat:
    """The file of one process."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def beat(self) -> None:
        """Touch the file, with this host's clock: a file server's may go differently.

        Raises:
            OSError: it cannot be written.
        """
        self.path.parent.mkdir(exist_ok=True)
        if not self.path.exists():
            self._forget_others()
        self.path.touch()
        now = time.time()
        os.utime(self.path, (now, now))

    def stop(self) -> None:
        """Remove the file."""
        with suppress(OSError):
            self.path.unlink(missing_ok=True)
        self._forget_others()

    def _forget_others(self) -> None:
        """Remove the files of processes, also of other hosts, that were killed a day ago."""
        with suppress(OSError):
            for other in self.path.parent.iterdir():
                if time.time() - other.stat().st_mtime > FORGOTTEN_SECONDS:
                    other.unlink(missing_ok=True)
