"""Reverberation: the room is measured as a room is."""

import math

import numpy as np
import pytest
import torch

from models.corruptions.reverb import Reverb, impulse_response
from models.features import SAMPLE_RATE
from tests.models.corruptions.sounds import db, generator, rms, speechlike


def measured_rt60(tail: torch.Tensor) -> float:
    """By Schroeder's backward integration, from the slope between -5 and -25 dB (ISO 3382: T20)."""
    energy = tail.double().square().numpy()[::-1].cumsum()[::-1]
    level = 10 * np.log10(energy / energy[0])
    used = (level <= -5) & (level >= -25)
    slope, _ = np.polyfit(np.flatnonzero(used) / SAMPLE_RATE, level[used], 1)
    return float(-60 / slope)


class TestTheRoom:
    @pytest.mark.parametrize("rt60", [0.2, 0.5, 1.5])
    def test_decays_by_60_db_in_its_reverberation_time(self, rt60: float) -> None:
        tails = [impulse_response(rt60, 0.0, generator(seed))[1:] for seed in range(8)]
        assert np.mean([measured_rt60(one) for one in tails]) == pytest.approx(rt60, rel=0.04)

    @pytest.mark.parametrize("drr", [-10.0, 0.0, 15.0])
    def test_has_its_direct_to_reverberant_ratio(self, drr: float) -> None:
        response = impulse_response(0.4, drr, generator()).double()
        ratio = response[0].square() / response[1:].square().sum()
        assert 10 * math.log10(float(ratio)) == pytest.approx(drr, abs=0.01)


class TestTheClip:
    def test_is_convolved_with_the_room(self) -> None:
        clip = speechlike(0.4)
        found = Reverb(rt60_seconds=(0.2,)).corrupt(clip, 0.2, generator())
        response = impulse_response(0.2, 0.0, generator())
        expected = np.convolve(clip.double().numpy(), response.double().numpy())[: len(clip)]
        expected *= rms(clip) / math.sqrt(float(np.mean(expected**2)))
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-5)

    @pytest.mark.parametrize("rt60", [0.1, 1.0, 10.0])
    def test_keeps_its_energy_and_its_length(self, rt60: float) -> None:
        clip = speechlike()
        found = Reverb(rt60_seconds=(rt60,)).corrupt(clip, rt60, generator())
        assert len(found) == len(clip)
        assert db(rms(found) / rms(clip)) == pytest.approx(0, abs=1e-3)
