"""`serval health`, with the standard library alone.

Something asks it every few seconds for each container, and importing the command line and the
settings takes ten times as long as the check itself.
"""

import os
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

from app import defaults
from app.operations.heartbeat import Heartbeats
from app.server.address import base_url
from app.supervisor.asking import why_not_alive


class Process(StrEnum):
    """The processes of the service that have a health."""

    API = "api"
    AUDITS = "audits"
    TRAININGS = "trainings"
    RECONCILER = "reconciler"


def at_once(arguments: Sequence[str]) -> int | None:
    """The exit status of `serval health PROCESS`, which has been told.

    None if the arguments are anything else, or a setting does not hold: the command line and
    `app.settings` say why.
    """
    if len(arguments) != 2 or arguments[0] != "health" or arguments[1] not in list(Process):
        return None
    environment = {name.upper(): value for name, value in os.environ.items()}
    data_dir = environment.get("SERVAL_DATA_DIR", defaults.DATA_DIR)
    host = environment.get("SERVAL_HOST", defaults.HOST)
    port = environment.get("SERVAL_PORT", str(defaults.PORT))
    if not port.isdecimal() or int(port) > 65535:
        return None
    return told(Process(arguments[1]), Path(data_dir), host, int(port))


def told(process: Process, data_dir: Path, host: str, port: int) -> int:
    """Say in one line whether the process works: 0 if it does, else 1."""
    why_not = _why_not(process, data_dir, host, port)
    if why_not is not None:
        sys.stderr.write(f"{process}: {why_not}\n")
        return 1
    sys.stdout.write(f"{process}: healthy\n")
    return 0


def _why_not(process: Process, data_dir: Path, host: str, port: int) -> str | None:
    if process is Process.API:
        return why_not_alive(base_url(host, port))
    return Heartbeats(data_dir, process).why_not()
