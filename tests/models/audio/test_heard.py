"""What is heard in samples beside the voice."""

import numpy as np
import pytest

from models.audio import decode
from models.audio.heard import constant_seconds
from tests.models.audio.files import codes, tone, written


def warning(data: bytes) -> tuple[str, float | str]:
    (one,) = decode(data).warnings
    return one.code, one.value


class TestDigitalSilence:
    @pytest.mark.parametrize("at", [0, 4_000, 8_000])
    def test_zeros_anywhere_are_told_with_their_seconds(self, at: int) -> None:
        data = written(np.insert(tone(), at, np.zeros(1_600, np.float32)))
        code, value = warning(data)
        assert code == "digital_silence"
        assert value == pytest.approx(0.1, abs=2 / 16_000)

    def test_any_constant_is_silent(self) -> None:
        held = np.concatenate([tone(), np.full(1_600, 0.25, np.float32)])
        assert codes(written(held)) == ["digital_silence"]

    def test_a_run_shorter_than_a_window_is_none(self) -> None:
        assert codes(written(np.insert(tone(), 4_000, np.zeros(500, np.float32)))) == []

    def test_runs_are_added_up(self) -> None:
        samples = np.concatenate([np.zeros(800), tone(), np.zeros(1_600), tone(), np.zeros(400)])
        assert constant_seconds(samples.astype(np.float32), 16_000) == pytest.approx(
            0.15, abs=4 / 16_000
        )

    def test_it_is_measured_at_the_rate_of_the_source(self) -> None:
        """Resampling makes ripples of exact zeros."""
        samples = np.insert(tone(rate=48_000), 12_000, np.zeros(4_800, np.float32))
        assert codes(written(samples, 48_000)) == ["digital_silence"]


class TestClipping:
    def test_a_share_of_samples_at_full_scale_is_told(self) -> None:
        samples = np.clip(tone() * 4, -1, 1)
        code, value = warning(written(samples))
        assert code == "clipped"
        assert value == pytest.approx(float(np.mean(np.abs(samples) >= 1)), abs=0.01)

    def test_a_lone_peak_at_full_scale_is_not(self) -> None:
        samples = tone()
        samples[100] = 1.0
        assert codes(written(samples)) == []


class TestShortness:
    def test_less_than_half_a_second_is_told(self) -> None:
        assert warning(written(tone(0.25))) == ("too_short", 0.25)
        assert codes(written(tone(0.5))) == []
