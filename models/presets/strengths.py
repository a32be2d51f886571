"""Strengths that several presets have in common."""

from typing import Final

EPSILONS: Final = (0.02, 0.04, 0.06, 0.08, 0.1)
"""Of log-mels, in standard deviations of a band: those of the paper (Sec. 4.3)."""

SNRS_DB: Final = (60.0, 50.0, 40.0, 30.0)
"""Of waveforms, in dB. Models of speech emotion are broken by far less than the L∞ budgets of
images and of speech recognition, so the grid begins where nobody hears a change."""
