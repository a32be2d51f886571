"""What is heard in samples that whoever reads a prediction should know."""

from typing import Final

import numpy as np
import numpy.typing as npt

from models.audio.problems import AudioWarning

SILENT_SECONDS: Final = 0.032
"""One analysis window: a shorter run of equal samples is in no frame alone."""
FULL_SCALE: Final = 1 - 2**-15
"""The highest sample of 16 bits."""
CLIPPED_SHARE: Final = 0.01
SHORT_SECONDS: Final = 0.5


def heard(mono: npt.NDArray[np.float32], rate: int) -> list[AudioWarning]:
    """Digital silence, clipping, and shortness.

    Args:
        mono: (n,), full scale 1, at the rate of the source: resampling would hide the first two.
        rate: Hz.
    """
    found = []
    silence = constant_seconds(mono, rate)
    if silence:
        found.append(
            AudioWarning(
                "digital_silence",
                f"{silence:.2f} s of the clip are exactly constant, as a noise gate or padding"
                " leaves them; no microphone is so silent.",
                silence,
            )
        )
    clipped = float(np.count_nonzero(np.abs(mono) >= FULL_SCALE)) / len(mono)
    if clipped > CLIPPED_SHARE:
        found.append(
            AudioWarning(
                "clipped", f"{clipped:.1%} of the samples are at full scale: clipped.", clipped
            )
        )
    seconds = len(mono) / rate
    if seconds < SHORT_SECONDS:
        found.append(
            AudioWarning(
                "too_short",
                f"The clip lasts {seconds:.3g} s: it is repeated to fill the model's window.",
                seconds,
            )
        )
    return found


def constant_seconds(mono: npt.NDArray[np.float32], rate: int) -> float:
    """Seconds in runs of equal samples that last a window or longer."""
    changes = np.flatnonzero(mono[1:] != mono[:-1]) + 1
    runs = np.diff(np.concatenate(([0], changes, [len(mono)])))
    return float(runs[runs >= SILENT_SECONDS * rate].sum()) / rate
