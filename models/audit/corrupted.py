"""The clips of an audit after a corruption, made one by one."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from models.audit.clips import ClipFacts, Clips
from models.corruptions import Corruption
from models.rng import generator
from models.victims import SpectrogramVictim


@dataclass(frozen=True)
class CorruptedClips:
    """See :class:`models.audit.Clips`; the whole front end hears what has become of the sound.

    Attributes:
        made: recordings that were asked for, by index: what was scored.
    """

    clips: Clips
    corruption: Corruption
    strength: float
    seed: int
    victim: SpectrogramVictim
    made: dict[int, Tensor] = field(default_factory=dict)

    @property
    def audible(self) -> bool:
        """Whether the recordings are at hand."""
        return self.clips.audible

    def __len__(self) -> int:
        return len(self.clips)

    def facts(self, index: int) -> ClipFacts:
        """What is known of a clip."""
        return self.clips.facts(index)

    def warning_codes(self, index: int) -> tuple[str, ...] | None:
        """Of the clip as it was."""
        return self.clips.warning_codes(index)

    def waveform(self, index: int) -> Tensor:
        """Its samples, (n,) float32 at 16 kHz. Seed, clip and kind decide over all draws.

        Raises:
            ValueError: the corruption answers what is no finite float32 waveform.
        """
        draws = generator(self.seed, index, f"corruption/{self.corruption.type}")
        found = self.corruption.corrupt(self.clips.waveform(index).clone(), self.strength, draws)
        if found.ndim != 1 or found.dtype != torch.float32 or not bool(found.isfinite().all()):
            raise ValueError(
                f"corruption {self.corruption.type!r} answers {found.dtype} {tuple(found.shape)}:"
                " give (samples,) float32, finite"
            )
        return found

    def log_mels(self, index: int) -> Tensor:
        """Of the whole clip, (frames, mels), before z-scoring."""
        waveform = self.victim.waveform(self.waveform(index))
        self.made[index] = waveform.cpu()
        features: Tensor = self.victim.log_mel(waveform)
        return features
