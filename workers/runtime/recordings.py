"""Recordings that were accepted once, read again by a job."""

from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from models.audio import AudioError, Condition, decode
from workers.runtime.outcome import JobFailed

ANY_LENGTH: Final = 24 * 3600.0
"""They were accepted under the limit of that day."""


def recording(path: Path, what: str, remedy: str) -> Tensor:
    """The samples of a recording, (n,) float32 at 16 kHz.

    Args:
        what: it is, for its owner.
        remedy: what the owner can do if it is gone.

    Raises:
        JobFailed: it cannot be read any more (code ``clip_damaged``).
    """
    try:
        decoded = decode(path.read_bytes(), max_seconds=ANY_LENGTH)
    except (OSError, AudioError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error).rstrip(".")
        told = f"{what} cannot be read any more: {reason}. {remedy}"
        raise JobFailed("clip_damaged", told) from error
    return torch.from_numpy(decoded.samples)


def condition(path: Path) -> Condition | None:
    """The condition of a recording; None where it cannot be read any more."""
    try:
        return Condition.of(decode(path.read_bytes(), max_seconds=ANY_LENGTH))
    except (OSError, AudioError):
        return None
