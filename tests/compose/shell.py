"""Commands of this machine."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.compose.report import Failed


def run(
    *command: str | Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    given: str | None = None,
    seconds: float = 900,
    may_fail: bool = False,
) -> subprocess.CompletedProcess[str]:
    """What the command wrote and its exit status.

    Raises:
        Failed: the status is not 0 and it may not fail; with the end of what it wrote.
    """
    done = subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        input=given,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    if done.returncode and not may_fail:
        raise Failed(_told(command, done))
    return done


def _told(command: Sequence[str | Path], done: subprocess.CompletedProcess[str]) -> str:
    wrote = (done.stdout[-400:] + done.stderr[-800:]).strip()
    shown = " ".join(str(word) for word in command)
    return f"`{shown}` ended with status {done.returncode}: {wrote}"
