"""Whether an adversarial WAV can be understood as well as the clip."""

import warnings

import numpy as np

from models.audit.measures.measure import BREAKDOWNS, Breakdown
from models.features import SAMPLE_RATE


@BREAKDOWNS.register("stoi")
class Stoi(Breakdown):
    """Short-time objective intelligibility of the WAVs."""

    name = "stoi"
    shown_in = "stoi of each adversarial WAV in artifacts[]"
    definition = (
        "Short-time objective intelligibility of each adversarial WAV against the clip's own: 1 is"
        " as intelligible as the clip. Null for a clip of digital silence or with less than .4 s of"
        " speech, of which it is not defined."
    )
    formula = (
        "mean over frames and third octaves of the correlation of the two envelopes over 384 ms, at"
        " 10 kHz, frames more than 40 dB below the loudest left out"
    )
    source = (
        "Taal et al., An Algorithm for Intelligibility Prediction of Time-Frequency Weighted Noisy"
        " Speech, IEEE TASLP 2011; pystoi's computation."
    )


def stoi(clean: np.ndarray, adversarial: np.ndarray) -> float | None:
    """Of two recordings at 16 kHz, (samples,) each; None where it is not defined."""
    from pystoi import stoi as computed

    if not clean.any():
        return None
    with warnings.catch_warnings():
        # It warns, and answers 1e-5, where too few frames are left to correlate.
        warnings.simplefilter("error", RuntimeWarning)
        try:
            found = float(computed(clean, adversarial, SAMPLE_RATE))
        except RuntimeWarning:
            return None
    return round(found, 4) if np.isfinite(found) else None
