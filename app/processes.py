"""What API, supervisor and workers ask of their processes: how they begin, and how they end."""

import ctypes
import os
import signal
import sys
import sysconfig
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Final

OURS: Final = Path(__file__).resolve().parents[1]
"""The folder of `app`, `models` and `workers`."""

IMAGE: Final = Path("/srv/serval")
"""Where the container image has that folder, see the Dockerfile."""

PR_SET_PDEATHSIG: Final = 1

LEAVE_SECONDS: Final = 14.0
"""From SIGTERM to the end of any of our processes, whatever hangs: a thread that waits for the
database may take 10 s with SQLite and 30 s with PostgreSQL, and the interpreter would wait for it.
Supervisors kill after 15 s or later."""

# Loaded here: between fork and exec nothing may be imported.
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def in_the_image() -> bool:
    """Whether this process runs in a container of our image."""
    return OURS == IMAGE


def serval_command(arguments: str) -> str:
    """How somebody types a command of `serval` where this process runs."""
    return f"{'docker compose run --rm api' if in_the_image() else 'serval'} {arguments}"


def keep_files_private() -> None:
    """Let nobody else read what this process and its children write: it holds people's voices."""
    os.umask(0o077)


def python_command(module: str, *arguments: str) -> list[str]:
    """What runs a module of ours, whatever the current folder is: without -P, its `models/` or
    `torch.py` would be imported in place of ours."""
    return [sys.executable, "-P", "-m", module, *arguments]


def python_environment(given: Mapping[str, str]) -> dict[str, str]:
    """``given``, with a path on which a `python_command` finds the same modules as this process."""
    paths = [path for path in given.get("PYTHONPATH", "").split(os.pathsep) if path]
    installed = {Path(sysconfig.get_path(name)).resolve() for name in ("purelib", "platlib")}
    if OURS not in installed:
        paths = [str(OURS), *(path for path in paths if path != str(OURS))]
    # An empty entry would be the current folder again.
    return {**given, "PYTHONPATH": os.pathsep.join(paths)}


def die_with(parent: int) -> None:
    """Have the kernel kill this process the moment its parent is gone (Linux alone can)."""
    if _libc is None:
        return
    if _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG) failed")
    if os.getppid() != parent:  # it died between the fork and the prctl
        os._exit(1)


def ending(code: int) -> str:
    """How a process ended, in words, from its exit code: of one that was killed, minus the signal's
    number."""
    if code >= 0:
        return f"ended with status {code}"
    return f"was killed by {signal.Signals(-code).name}"


def leave_in_time(seconds: float = LEAVE_SECONDS) -> None:
    """End this process with status 0 so many seconds from now, if it has not ended by then."""
    leave = threading.Timer(seconds, os._exit, (0,))
    leave.daemon = True
    leave.start()
