"""Resampling, against scipy's."""

import numpy as np
import pytest
import torch
from scipy.signal import resample_poly

from models.audio import decode, encode_wav
from models.corruptions.resampling import as_long_as, resample
from tests.models.corruptions.sounds import db, rms, speechlike, tone


class TestResample:
    @pytest.mark.parametrize("rate", [8_000, 12_000, 11_000])
    def test_keeps_what_lies_below(self, rate: int) -> None:
        clip = tone(1_000)
        back = resample(resample(clip, 16_000, rate), rate, 16_000)
        torch.testing.assert_close(back[500:15_500], clip[500:15_500], atol=2e-4, rtol=0)

    def test_removes_what_lies_above(self) -> None:
        assert db(rms(resample(tone(4_300), 16_000, 8_000)[200:-200]) / rms(tone(4_300))) < -60

    def test_agrees_with_another_resampler(self) -> None:
        """Below 3 kHz, where both pass everything."""
        clip = sum((tone(hz, level=0.1) for hz in (200, 900, 2_500)), torch.zeros(16_000))
        own = resample(clip, 16_000, 8_000).numpy()
        other = resample_poly(clip.double().numpy(), 1, 2, window=("kaiser", 5.0))
        assert len(own) == len(other)
        np.testing.assert_allclose(own[200:-200], other[200:-200], atol=1e-3)

    def test_is_what_the_service_makes_of_a_recording_of_that_rate(self) -> None:
        low = resample(speechlike(), 16_000, 8_000)
        heard = decode(encode_wav(low.numpy(), rate=8_000)).samples
        assert torch.equal(resample(low, 8_000, 16_000), torch.from_numpy(heard))


class TestAsLongAs:
    def test_cuts_and_fills_up(self) -> None:
        sound = torch.tensor([1.0, 2.0])
        assert as_long_as(sound, 1).tolist() == [1.0]
        assert as_long_as(sound, 3).tolist() == [1.0, 2.0, 0.0]
