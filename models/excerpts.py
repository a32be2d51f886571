"""What is played of a clip: some seconds of it, of the attacked one, and of their difference.

A listener compares. The original and the adversarial excerpt share one gain, so that neither is
louder by its file; the difference, which alone is mostly too quiet to be heard, has one of its own.
"""

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from models.audio import Samples
from models.features import HOP, SAMPLE_RATE, WINDOW

MOST_SECONDS: Final = 6.0
MOST_SAMPLES: Final = int(MOST_SECONDS * SAMPLE_RATE)
PEAK: Final = 10 ** (-1 / 20)
"""Of what is played: 1 dB below full scale, as a decoder may overshoot."""
LARGEST_GAIN_DB: Final = 90.0
"""Of a difference: that of two equal sounds would be amplified for ever."""


@dataclass(frozen=True)
class Excerpts:
    """Sounds to be played, (n,) float32 within full scale.

    Attributes:
        gain_db: by which the clip and the attacked one were changed, at most 0.
        difference_gain_db: by which the difference was, beyond that.
    """

    original: Samples
    adversarial: Samples
    difference: Samples
    gain_db: float
    difference_gain_db: float


def loudest_part(energies: npt.NDArray[np.float64], samples: int) -> tuple[int, int]:
    """The part of a clip with the largest difference: all of it, or six seconds.

    Args:
        energies: of the difference in each frame of the clip, (frames,).
        samples: of the clip.

    Returns:
        Its first sample, and the one behind its last.
    """
    if samples <= MOST_SAMPLES:
        return 0, samples
    width = 1 + (MOST_SAMPLES - WINDOW) // HOP
    sums = np.cumsum(np.concatenate([[0.0], energies]))
    start = int(np.argmax(sums[width:] - sums[:-width])) * HOP if len(energies) > width else 0
    return start, start + MOST_SAMPLES


def excerpts(own: Samples, adversarial: Samples, part: tuple[int, int]) -> Excerpts:
    """What is played of a clip.

    The difference gets the level of the clip (RMS), or less if it would exceed full scale.

    Args:
        own, adversarial: the whole sounds, (samples,).
        part: as :func:`loudest_part` gives it.
    """
    clean = own[slice(*part)].astype(np.float64)
    attacked = adversarial[slice(*part)].astype(np.float64)
    loudest = max(_peak(clean), _peak(attacked))
    gain = 1.0 if loudest <= 1.0 else PEAK / loudest
    change = gain * (attacked - clean)
    wanted = gain * _rms(clean) / (_rms(change) or math.inf)
    most = min(PEAK / (_peak(change) or math.inf), 10 ** (LARGEST_GAIN_DB / 20))
    amplified = min(wanted, most) or 1.0
    return Excerpts(
        original=(gain * clean).astype(np.float32),
        adversarial=(gain * attacked).astype(np.float32),
        difference=(amplified * change).astype(np.float32),
        gain_db=_db(gain),
        difference_gain_db=_db(amplified),
    )


def _peak(samples: npt.NDArray[np.float64]) -> float:
    return float(np.abs(samples).max(initial=0.0))


def _rms(samples: npt.NDArray[np.float64]) -> float:
    return float(np.sqrt(np.mean(np.square(samples)))) if len(samples) else 0.0


def _db(gain: float) -> float:
    return round(20 * math.log10(gain), 2) + 0.0
