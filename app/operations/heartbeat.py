"""The heartbeat of a background process: a file that its main loop touches while it can work.

One file for each queue and host, in the data folder. Its age is its health: a process that hangs,
or that lacks the database, the queue or the data folder, lets it grow old.
"""

import os
import socket
import time
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


class Heartbeat:
    """The file of one process.

    Args:
        folder: where the files lie.
        name: of the process: its queue, or "reconciler".
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.path = folder / f"{name}@{socket.gethostname()}"

    @classmethod
    def of(cls, settings: "Settings", name: str) -> "Heartbeat":
        """That of a process with these settings on this host."""
        return cls.in_folder(settings.data_dir, name)

    @classmethod
    def in_folder(cls, data_dir: Path, name: str) -> "Heartbeat":
        """That of a process with this data folder on this host."""
        return cls(data_dir.absolute() / "heartbeats", name)

    def beat(self) -> None:
        """Touch the file, with this host's clock: a file server's may go differently.

        Raises:
            OSError: it cannot be written.
        """
        self.path.parent.mkdir(exist_ok=True)
        self.path.touch()
        now = time.time()
        os.utime(self.path, (now, now))

    def stop(self) -> None:
        """Remove the file, and those that other hosts left behind a day ago."""
        with suppress(OSError):
            self.path.unlink(missing_ok=True)
            for other in self.path.parent.iterdir():
                if time.time() - other.stat().st_mtime > FORGOTTEN_SECONDS:
                    other.unlink(missing_ok=True)

    def why_not(self) -> str | None:
        """Why the process is not healthy, or None if it is."""
        try:
            age = time.time() - self.path.stat().st_mtime
        except FileNotFoundError:
            return f"there is no {self.path}: it has not started to work yet, or was stopped."
        except OSError as error:
            return f"{self.path} cannot be read ({error.strerror})."
        if age > STALE_SECONDS:
            return f"its last heartbeat was {age:.0f} s ago, more than {STALE_SECONDS:g} s."
        return None
