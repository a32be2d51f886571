"""How loud the speech of a recording is, and what a model is told of it."""

import math
from typing import Final

import numpy as np
import numpy.typing as npt

from models.audio.problems import AudioWarning
from models.features import HOP, WINDOW

ACTIVE_DB: Final = 40.0
"""Below the loudest frame: what is quieter is a pause. The dynamic range of speech is taken to be
30 dB (ANSI S3.5-1997); fading ends and breaths lie a little lower."""


def active_level_dbfs(waveform: npt.NDArray[np.float32]) -> float | None:
    """The level of the parts that are no pause.

    It is the RMS over all frames of 512 samples, 256 apart, that lie within 40 dB of the loudest.

    Args:
        waveform: (samples,) at 16 kHz, full scale 1, at least 512 samples.

    Returns:
        dB relative to an RMS of 1; of a sine at full scale it is -3.01. None of digital silence.

    Raises:
        ValueError: fewer than 512 samples, which do not fill one frame.
    """
    if len(waveform) < WINDOW:
        raise ValueError(
            f"{len(waveform)} samples do not fill one frame: at least {WINDOW} are needed"
        )
    hops = waveform[: len(waveform) // HOP * HOP].reshape(-1, HOP)
    energies = np.square(hops, dtype=np.float64).sum(axis=1)
    powers = (energies[:-1] + energies[1:]) / WINDOW
    loudest = float(powers.max())
    if loudest == 0:
        return None
    active = powers[powers >= loudest * 10 ** (-ACTIVE_DB / 10)]
    return 10 * math.log10(float(active.mean()))


def level_warnings(
    waveform: npt.NDArray[np.float32], levels_dbfs: tuple[float, float] | None
) -> tuple[AudioWarning, ...]:
    """The warning ``level`` where the speech is quieter or louder than what a model learnt from.

    Args:
        waveform: (samples,) at 16 kHz, full scale 1, at least 512 samples.
        levels_dbfs: the model's lowest and highest level; None if it does not say.
    """
    level = None if levels_dbfs is None else active_level_dbfs(waveform)
    if levels_dbfs is None or level is None or levels_dbfs[0] <= level <= levels_dbfs[1]:
        return ()
    low, high = levels_dbfs
    change, by = ("quieter", low - level) if level < low else ("louder", level - high)
    return (
        AudioWarning(
            "level",
            f"The speech has an active level of {level:.1f} dBFS, {by:.1f} dB {change} than the"
            f" {low:.1f} to {high:.1f} dBFS that the model was trained on.",
            level,
        ),
    )
