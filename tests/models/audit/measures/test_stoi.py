"""Intelligibility of adversarial sounds."""

import numpy as np

from models.audit.measures.stoi import stoi
from models.features import SAMPLE_RATE

DRAWS = np.random.default_rng(0)
TIME = np.arange(2 * SAMPLE_RATE) / SAMPLE_RATE
LEVEL = 1.2 + np.sin(2 * np.pi * 4 * TIME)
SPEECH = (DRAWS.normal(size=len(TIME)) * LEVEL).astype(np.float32)
"""Noise whose level moves as that of syllables does."""


def test_a_clip_is_as_intelligible_as_itself() -> None:
    assert stoi(SPEECH, SPEECH) == 1


def test_the_more_noise_the_less() -> None:
    noise = DRAWS.normal(size=len(SPEECH)).astype(np.float32)
    little, much = stoi(SPEECH, SPEECH + 0.1 * noise), stoi(SPEECH, SPEECH + 5 * noise)
    assert little is not None
    assert much is not None
    assert 0 < much < 0.7
    assert 0.9 < little < 1


def test_of_a_short_clip_it_is_not_defined() -> None:
    assert stoi(SPEECH[:2000], SPEECH[:2000]) is None


def test_nor_of_silence() -> None:
    assert stoi(0 * SPEECH, SPEECH) is None
