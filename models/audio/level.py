"""How loud the speech of a recording is, and what a model is told of it."""

import math
from collections.abc import Iterable
from typing import Final

import numpy as np
import numpy.typing as npt

from models.audio.problems import AudioWarning
from models.features import HOP, WINDOW

ACTIVE_DB: Final = 40.0
"""Below the loudest frame: what is quieter is a pause. The dynamic range of speech is taken to be
30 dB (ANSI S3.5-1997); fading ends and breaths lie a little lower."""
PERCENTILES: Final = (1.0, 99.0)
"""Of a model's training clips, between which it counts as having learnt. A corpus has some that
went wrong, and the range of all would be theirs."""


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


def level_range(levels_dbfs: Iterable[float | None]) -> tuple[float, float] | None:
    """The 1st and the 99th percentile of active levels, rounded outwards to .1 dB.

    Args:
        levels_dbfs: of recordings; None of digital silence, which is left out.

    Returns:
        None where there is no range: without levels, or if all are the same.
    """
    known = [level for level in levels_dbfs if level is not None]
    if not known:
        return None
    low, high = np.percentile(known, PERCENTILES).tolist()
    low, high = math.floor(low * 10) / 10, math.ceil(high * 10) / 10
    return (low, high) if low < high else None


def is_outside(level_dbfs: float | None, levels_dbfs: tuple[float, float] | None) -> bool:
    """Whether speech is quieter or louder than a model is meant for.

    Args:
        level_dbfs: its active level; None of digital silence.
        levels_dbfs: the model's lowest and highest level; None if it does not say.
    """
    if level_dbfs is None or levels_dbfs is None:
        return False
    return not levels_dbfs[0] <= level_dbfs <= levels_dbfs[1]


def level_warnings(
    waveform: npt.NDArray[np.float32], levels_dbfs: tuple[float, float] | None
) -> tuple[AudioWarning, ...]:
    """The warning ``level`` where the speech is quieter or louder than a model is meant for.

    Args:
        waveform: (samples,) at 16 kHz, full scale 1, at least 512 samples.
        levels_dbfs: the model's lowest and highest level; None if it does not say.
    """
    level = None if levels_dbfs is None else active_level_dbfs(waveform)
    if levels_dbfs is None or level is None or not is_outside(level, levels_dbfs):
        return ()
    low, high = levels_dbfs
    change, by = ("quieter", low - level) if level < low else ("louder", level - high)
    return (
        AudioWarning(
            "level",
            f"The speech has an active level of {level:.1f} dBFS, {by:.1f} dB {change} than the"
            f" {low:.1f} to {high:.1f} dBFS that the model is meant for.",
            level,
        ),
    )
