"""The condition of a recording: what is kept of it so that it need not be decoded again."""

from dataclasses import dataclass
from typing import Self

from models.audio.decoding import Waveform
from models.audio.level import active_level_dbfs, is_outside


@dataclass(frozen=True, slots=True)
class Condition:
    """What decoding says of a recording, whatever the model.

    Attributes:
        level_dbfs: active level; None of digital silence.
        warnings: codes, see :class:`models.audio.AudioWarning`.
    """

    level_dbfs: float | None
    warnings: tuple[str, ...]

    @classmethod
    def of(cls, waveform: Waveform) -> Self:
        """Of a decoded recording."""
        codes = tuple(warning.code for warning in waveform.warnings)
        return cls(active_level_dbfs(waveform.samples), codes)

    def codes(self, levels_dbfs: tuple[float, float] | None) -> tuple[str, ...]:
        """The codes of the warnings that a prediction of the recording has.

        Args:
            levels_dbfs: the lowest and highest level that the model is meant for; None if it does
                not say.
        """
        outside = is_outside(self.level_dbfs, levels_dbfs)
        return (*self.warnings, "level") if outside else self.warnings
