"""The detector that an audit asks: one and the same for all of its shards and attempts.

A model's detector may be exchanged at any time, and rows that were scored before stay. So the first
attempt writes down which one it asks, each shard's row says it too, and whoever finds another
attached since ends the audit: figures of two detectors under the name of one would mislead.

    checkpoint/detector.json    the SHA-256 of its weights
"""

from pathlib import Path
from typing import Final

import torch

from app.registry import detectors
from app.registry.service import Entry
from models.audit.detecting import ModelDetector
from workers.audits.record import read_json, write_json
from workers.runtime.outcome import JobFailed

PINNED: Final = "detector.json"


def load(entry: Entry, device: torch.device) -> ModelDetector:
    """The one that is attached to the model now.

    Raises:
        JobFailed: there is none any more (code ``no_detector``).
        ServalError: its files are damaged.
    """
    net = detectors.load(entry, device)
    if net is None or entry.detector is None:
        raise JobFailed(
            "no_detector",
            f"The detector of {entry.id} was detached after the audit was accepted. Attach one, or"
            " leave detector out.",
        )
    return ModelDetector(net, entry.detector.config.threshold)


def pin(folder: Path, entry: Entry, asked: str | None) -> None:
    """Write down which detector an audit asks, or see that it is the one of its first attempt.

    Args:
        folder: of the job's checkpoints.
        entry: the model.
        asked: SHA-256 of the detector's weights; None if the audit asks none.

    Raises:
        JobFailed: it is another (code ``detector_changed``).
    """
    if asked is None:
        return
    path = folder / PINNED
    first = read_json(path)
    if first is None:
        folder.mkdir(parents=True, exist_ok=True)
        write_json(path, {"sha256": asked})
    else:
        check_same(entry, asked, first["sha256"])


def check_same(entry: Entry, asked: str | None, first: str | None) -> None:
    """Return if a detector is the one that the audit began with.

    Args:
        entry: the model.
        asked: SHA-256 of the detector's weights.
        first: of the one that it began with; None if that is not known.

    Raises:
        JobFailed: it is another (code ``detector_changed``).
    """
    if first is None or asked == first:
        return
    raise JobFailed(
        "detector_changed",
        f"Another detector was attached to {entry.id} while the audit ran: it began with that of"
        f" SHA-256 {first}, and now there is {asked}. Figures of two detectors are not mixed."
        " Submit the audit again, and attach no other until it has ended.",
    )
