"""What lies where in a bundle."""

import re
from typing import Final

README: Final = "README.txt"
REQUEST: Final = "request.json"
MATERIALS: Final = "materials.json"
ROWS: Final = "rows.jsonl"
REPORT: Final = "report.json"
SIGNATURE: Final = "signature.json"


def model_file(number: int, name: str) -> str:
    """One of the files of the model at that place in `Materials.models`."""
    return f"models/{number:02d}/{name}"


def clip_file(index: int, suffix: str) -> str:
    """The recording of a clip, as it was uploaded.

    Args:
        suffix: as it is stored, such as ".wav".
    """
    return f"clips/{index:06d}{suffix}"


def clip_index(name: str) -> int | None:
    """Of which clip a file is the recording; None if it is something else."""
    found = _clip(name)
    return None if found is None else int(found[1])


_clip: Final = re.compile(r"clips/([0-9]{6})\.[a-z]{3,4}").fullmatch


def artifact_file(name: str) -> str:
    """A recording that the audit made."""
    return f"artifacts/{name}"
