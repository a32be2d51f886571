"""The clips of a replay, decoded one by one as the service does."""

from collections.abc import Mapping
from typing import Final

import torch
from torch import Tensor

from app.replay.reading import Unusable
from app.replay.recordings import Read
from models.audio import AudioError, decode
from models.audit import ClipFacts
from models.features import LogMel

MOST_SECONDS: Final = 3600.0
"""Of a recording. Whoever runs a service may accept longer ones than it does by default."""
KEPT: Final = 64
"""Recordings that stay decoded: a chunk's are asked for by each of its attacks."""


class ReplayClips:
    """See :class:`models.audit.Clips`.

    Args:
        known: what is known of each, by index.
        read: gives its recording.
    """

    audible = True

    def __init__(self, known: Mapping[int, ClipFacts], read: Read) -> None:
        self._known = known
        self._read = read
        self._log_mel = LogMel()
        self._kept: dict[int, Tensor] = {}

    def __len__(self) -> int:
        return len(self._known)

    def facts(self, index: int) -> ClipFacts:
        """What is known of a clip."""
        return self._known[index]

    def warning_codes(self, index: int) -> None:  # noqa: ARG002  (of the protocol)
        """Not known: what a prediction warns of is not scored again."""
        return

    def log_mels(self, index: int) -> Tensor:
        """Of the whole clip, (frames, mels), before z-scoring."""
        features: Tensor = self._log_mel(self.waveform(index))
        return features

    def waveform(self, index: int) -> Tensor:
        """Its samples, (n,) float32 at 16 kHz.

        Raises:
            Unusable: it is no recording.
        """
        if index not in self._kept:
            if len(self._kept) >= KEPT:
                del self._kept[next(iter(self._kept))]
            try:
                decoded = decode(self._read(index), max_seconds=MOST_SECONDS)
            except (AudioError, OSError) as error:
                raise Unusable(f"Clip {index} cannot be read: {error}") from error
            self._kept[index] = torch.from_numpy(decoded.samples)
        return self._kept[index]
