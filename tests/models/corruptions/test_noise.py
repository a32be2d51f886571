"""Noise: its ratio to the voice, its spectrum, its envelope."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.signal import welch
from torch import Tensor

from models.corruptions.noise import AdditiveNoise, Color, drawn
from models.features import SAMPLE_RATE
from tests.models.corruptions.sounds import generator, snr_db, speechlike

COLORS: list[Color] = ["white", "pink", "babble"]


def octaves(noise: Tensor) -> list[float]:
    """Power in dB of the octaves from 125 Hz on, up to 4 to 8 kHz, by Welch's method."""
    hz, density = welch(noise.double().numpy(), SAMPLE_RATE, nperseg=4_096)
    edges = [125 * 2**n for n in range(7)]
    return [
        10 * math.log10(density[(hz >= low) & (hz < high)].sum()) for low, high in pairwise(edges)
    ]


class TestRatio:
    @pytest.mark.parametrize("color", COLORS)
    @pytest.mark.parametrize("wanted", [40.0, 10.0, -5.0])
    def test_is_the_wanted_one_to_a_hundredth_of_a_db(self, color: Color, wanted: float) -> None:
        clip = 0.3 * speechlike(1.3)
        found = AdditiveNoise(snr_db=(wanted,), color=color).corrupt(clip, wanted, generator())
        assert snr_db(clip, found) == pytest.approx(wanted, abs=0.01)

    def test_of_silence_there_is_none(self) -> None:
        silence = torch.zeros(8_000)
        assert torch.equal(AdditiveNoise(snr_db=(0,)).corrupt(silence, 0, generator()), silence)

    @pytest.mark.parametrize("color", COLORS)
    def test_a_stronger_noise_is_the_same_noise(self, color: Color) -> None:
        clip = speechlike()
        noise = AdditiveNoise(snr_db=(20, 0), color=color)
        weak, strong = (noise.corrupt(clip, db, generator(3)) - clip for db in (20, 0))
        torch.testing.assert_close(10 * weak, strong, atol=1e-5, rtol=1e-4)


class TestSpectrum:
    def test_white_has_the_same_power_in_every_hertz(self) -> None:
        found = np.diff(octaves(drawn("white", 480_000, generator())))
        assert found.tolist() == pytest.approx([10 * math.log10(2)] * 5, abs=0.4)

    def test_pink_has_the_same_power_in_every_octave(self) -> None:
        found = np.diff(octaves(drawn("pink", 480_000, generator())))
        assert found.tolist() == pytest.approx([0.0] * 5, abs=0.4)

    def test_babble_has_that_of_speech(self) -> None:
        """ITU-T P.50, Table 1: levels of the third octaves at 125 Hz … 6.3 kHz, above 1 kHz falling
        by more than 6 dB an octave of bandwidth-corrected density."""
        hz, density = welch(drawn("babble", 960_000, generator()).numpy(), SAMPLE_RATE, nperseg=800)
        level = dict(zip(hz.tolist(), (10 * np.log10(density + 1e-20)).tolist(), strict=True))
        for one, expected in ((500, 7.86), (2_000, -9.42), (4_000, -16.95)):
            assert level[one] - level[1_000] == pytest.approx(expected, abs=1.0)
        assert level[20] < level[500] - 20


class TestEnvelope:
    def modulation(self, color: Color) -> float:
        """How much the level of 50 ms varies, in dB."""
        pieces = drawn(color, 320_000, generator()).unfold(0, 800, 800)
        return float((10 * pieces.square().mean(dim=1).log10()).std())

    def test_only_babble_swells_as_talkers_do(self) -> None:
        assert self.modulation("babble") > 1.5
        assert self.modulation("white") < 0.5
