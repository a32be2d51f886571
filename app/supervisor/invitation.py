"""What a newcomer may type next: a line that works as it stands."""

import os
import shlex
from pathlib import Path
from typing import Final

from app.supervisor.asking import needs_a_key

SAMPLES: Final = Path(__file__).resolve().parent.parent.parent / "samples"


def invitation(url: str) -> str:
    """A `curl` line that predicts, and where to read on."""
    clips = sorted(SAMPLES.glob("*.wav"))
    clip = _shortest(clips[0]) if clips else "CLIP.wav"
    key = ' -H "Authorization: Bearer $SERVAL_API_KEY"' if needs_a_key(url) else ""
    file = shlex.quote(f"@{clip}")
    return (
        f"  curl --data-binary {file} -H 'Content-Type: audio/wav'{key} {url}/v1/predict\n\n"
        f"The API is described at {url}/docs. Ctrl-C stops everything."
    )


def _shortest(path: Path) -> str:
    """The path from the working folder if it lies below it, else the whole path."""
    here = Path.cwd()
    return os.path.relpath(path, here) if path.is_relative_to(here) else str(path)
