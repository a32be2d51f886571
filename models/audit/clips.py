"""What an audit is run on: clips that are read one by one, so that few are in memory at a time."""

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


@dataclass(frozen=True)
class ClipFacts:
    """What is known of a clip.

    Attributes:
        name: what its owner calls it.
        label: its emotion; None if it is not known.
        speaker, gender: None if they are not known.
        duration_s: of the recording.
        group: its value in the column that the audit is to group by; None if it has none.
    """

    name: str
    label: str | None
    speaker: str | None
    gender: str | None
    duration_s: float
    group: str | None = None


class Clips(Protocol):
    """The clips of an audit, in its order."""

    @property
    def audible(self) -> bool:
        """Whether the recordings are at hand."""

    def __len__(self) -> int: ...

    def facts(self, index: int) -> ClipFacts:
        """What is known of a clip."""

    def warning_codes(self, index: int) -> tuple[str, ...] | None:
        """Codes of the warnings that a prediction of it has; None if they are not known."""

    def log_mels(self, index: int) -> Tensor:
        """Of the whole clip, (frames, mels), before z-scoring."""

    def waveform(self, index: int) -> Tensor:
        """Its samples, (n,) float32 at 16 kHz; only where :attr:`audible`."""
