"""``logmel-2``: log-mels relative to the recording's own level, with a floor that speech has.

    M[t, b] = exp(log_mel[t, b]) - 1e-8          mel magnitudes, at least 0
    e[t]    = mean of M[t, b] over the bands from 100 Hz up
    A       = sum_t e[t]^2 / sum_t e[t]          active level
    F[b]    = 10^(-40/20) S[b]                   floor
    out     = ln(M[t, b] / A + F[b])             in frames with e[t] >= 10^(-55/20) A

A, the contraharmonic mean of the frames' magnitudes, weights each frame by its own magnitude:
silence adds nothing to either sum, wherever it lies and however much of it there is, and a factor
on the recording is the same factor on A. So a recording's level does not matter, and silent frames,
which are not heard, do not move it. There is no threshold whose crossing would move the level, as
in the active speech level of ITU-T P.56, and everything but the choice of frames is differentiable.
Hum and offsets lie below 100 Hz and do not count as level.

S is the long-term average spectrum of speech as an amplitude (ITU-T P.50, Sec. 4.2), 1 in the mean
over the bands that count: what lies 40 dB below such speech is heard as the floor, in the high
bands, where speech is weak, as in the low ones. Outside of 100 Hz to 8 kHz, which P.50 describes,
S goes on as at the end.
"""

from typing import ClassVar, Final

import torch
from torch import Tensor

from models.features import LOG_FLOOR, band_centres
from models.front_ends.front_end import FRONT_ENDS, FrontEnd

FLOOR_DB: Final = -40.0
"""Below speech of the recording's level."""
SILENCE: Final = 10 ** (-55 / 20)
"""Of the active level: frames below are not heard."""
LEVELS_DBFS: Final = (-75.0, 20.0)
"""Below, the steps of 16 bits are heard (docs/front-ends.md); no recording that is accepted lies
above."""
LEVEL_FROM_HZ: Final = 100.0
FIRST_BAND: Final = int((band_centres() < LEVEL_FROM_HZ).sum())
LARGEST_CHANGE: Final = 30.0
"""Of a log-mel, for a change that is asked of a frame near the floor."""


def speech_spectrum() -> Tensor:
    """S of the module's formula, (64,) float64."""
    decade = band_centres().clamp_min(LEVEL_FROM_HZ).log10()
    db = -376.44 + 465.439 * decade - 157.745 * decade**2 + 16.7124 * decade**3
    amplitude = 10 ** (db / 20)
    return amplitude / amplitude[FIRST_BAND:].mean()


FLOOR: Final = speech_spectrum() * 10 ** (FLOOR_DB / 20)
"""F of the module's formula, (64,) float64."""


class LogMel2(FrontEnd):
    """See the module."""

    name: ClassVar[str] = "logmel-2"
    definition: ClassVar[str] = (
        "log-mels relative to the recording's own level, so that neither level nor digital silence"
        " matters"
    )
    looks_at_all: ClassVar[bool] = True
    levels_dbfs: ClassVar[tuple[float, float] | None] = LEVELS_DBFS

    def frames(self, log_mels: Tensor) -> Tensor:
        """See :class:`FrontEnd`. A recording of silence alone is all floor."""
        magnitudes = _magnitudes(log_mels)
        level = _level(_envelope(magnitudes))[..., None, None]
        return torch.log(magnitudes / torch.where(level > 0, level, 1.0) + FLOOR.to(log_mels))

    def heard(self, log_mels: Tensor) -> Tensor:
        """See :class:`FrontEnd`. All of a recording that is silent throughout."""
        envelope = _envelope(_magnitudes(log_mels.detach()))
        return (envelope >= SILENCE * _level(envelope)).nonzero().flatten()

    def undone(self, log_mels: Tensor, change: Tensor) -> Tensor:
        """See :class:`FrontEnd`. The recording's level is taken as it is."""
        magnitudes = _magnitudes(log_mels)
        level = _level(_envelope(magnitudes))
        heard = self.heard(log_mels)[: len(change)]
        before = magnitudes[heard] / torch.where(level > 0, level, 1.0)
        floor = FLOOR.to(log_mels)
        after = ((before + floor) * change.exp() - floor).clamp_min(0)
        gain = torch.log(after / before).clamp(-LARGEST_CHANGE, LARGEST_CHANGE)
        undone = torch.zeros_like(log_mels)
        undone[heard] = torch.where(before > 0, gain, 0.0)
        return undone


FRONT_ENDS.register(LogMel2.name)(LogMel2())


def _magnitudes(log_mels: Tensor) -> Tensor:
    return (log_mels.exp() - LOG_FLOOR).clamp_min(0)


def _envelope(magnitudes: Tensor) -> Tensor:
    """e of the module's formula, (..., n)."""
    return magnitudes[..., FIRST_BAND:].mean(dim=-1)


def _level(envelope: Tensor) -> Tensor:
    """A of the module's formula, (...,); 0 for silence."""
    total = envelope.sum(dim=-1)
    return envelope.square().sum(dim=-1) / torch.where(total > 0, total, 1.0)
