"""The model of an audit as its attacks see it: the same in a forecast and in a worker."""

from collections.abc import Iterable

import torch

from app.audits.schemas import AnyAuditRequest
from app.persistence.storage import Storage
from app.registry import service as registry
from app.registry.service import Entry
from app.settings import Settings
from models.features import SAMPLE_RATE, WINDOW
from models.victims import SpectrogramVictim


def load_victim(
    storage: Storage, entry: Entry, request: AnyAuditRequest, device: torch.device
) -> SpectrogramVictim:
    """A model of the registry, for the windows and the precision of a request.

    Raises:
        FilesNotVisible: this host does not see its files.
        ServalError: its files are gone or damaged.
    """
    config = entry.config
    storage.published(entry.folder)
    return SpectrogramVictim(
        registry.load_entry(entry).to(device),
        config.standardizer.to(device),
        config.labels,
        config.frames,
        front_end=config.front_end,
        windows=request.windows,
        exact=request.precision == "float32",
    )


def batch_size(settings: Settings, frames: int) -> int:
    """Clips of one pass through a model with this window: memory goes by frames, and a window may
    last a minute."""
    return max(1, min(settings.audit_batch, settings.max_batch_frames // frames))


def count_windows(victim: SpectrogramVictim, seconds: Iterable[float]) -> int:
    """Windows of the model in clips of these lengths, as far as they are scored."""
    if victim.windows == "first":
        return sum(1 for _ in seconds)
    samples = (max(int(one * SAMPLE_RATE), WINDOW) for one in seconds)
    return sum(victim.windows_of((n,), "waveform") for n in samples)
