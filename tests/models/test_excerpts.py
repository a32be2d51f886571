"""What is played of a clip."""

import io

import numpy as np
import pytest
import soundfile

from models.audio import encode_flac
from models.excerpts import MOST_SAMPLES, excerpts, loudest_part
from models.features import HOP, SAMPLE_RATE, WINDOW


def hum(samples: int, level: float = 0.1) -> np.ndarray:
    return (level * np.sin(np.arange(samples) / 7)).astype(np.float32)


def db(one: np.ndarray, other: np.ndarray) -> float:
    """The level of one over that of the other."""
    return float(10 * np.log10(np.square(one).mean() / np.square(other).mean()))


class TestLoudestPart:
    def test_of_a_clip_of_six_seconds_is_all_of_it(self) -> None:
        assert loudest_part(np.ones(3), MOST_SAMPLES) == (0, MOST_SAMPLES)

    @pytest.mark.parametrize("second", [0.0, 9.0, 29.0])
    def test_of_a_longer_one_is_six_seconds_around_the_difference(self, second: float) -> None:
        samples = 30 * SAMPLE_RATE
        energies = np.full(1 + (samples - WINDOW) // HOP, 1e-6)
        frame = int(second * SAMPLE_RATE / HOP)
        energies[frame] = 1.0
        start, end = loudest_part(energies, samples)
        assert end - start == 6 * SAMPLE_RATE
        assert 0 <= start <= frame * HOP < end <= samples

    def test_frames_that_a_front_end_drops_at_the_end_count_nothing(self) -> None:
        start, end = loudest_part(np.ones(10), 30 * SAMPLE_RATE)
        assert (start, end) == (0, MOST_SAMPLES)


class TestExcerpts:
    def test_original_and_adversarial_are_as_they_were(self) -> None:
        own, adversarial = hum(8000), hum(8000) + hum(8000, 0.001)
        played = excerpts(own, adversarial, (100, 7000))
        assert np.array_equal(played.original, own[100:7000])
        assert np.array_equal(played.adversarial, adversarial[100:7000])
        assert played.gain_db == 0

    def test_the_difference_is_amplified_to_the_level_of_the_clip_by_what_is_said(self) -> None:
        own = hum(8000)
        played = excerpts(own, own + hum(8000, 0.001), (0, 8000))
        assert played.difference_gain_db == pytest.approx(40, abs=0.1)
        assert db(played.difference, played.original) == pytest.approx(0, abs=0.1)

    def test_both_share_one_gain_where_one_exceeds_full_scale(self) -> None:
        own, adversarial = hum(8000, 0.5), hum(8000, 2.0)
        played = excerpts(own, adversarial, (0, 8000))
        assert np.abs(played.adversarial).max() <= 1
        assert db(played.adversarial, played.original) == pytest.approx(db(adversarial, own))
        assert db(played.original, own) == pytest.approx(played.gain_db, abs=0.05)

    def test_a_difference_of_clicks_stays_within_full_scale(self) -> None:
        own = hum(8000)
        adversarial = own.copy()
        adversarial[50] += 0.01
        assert np.abs(excerpts(own, adversarial, (0, 8000)).difference).max() <= 1

    @pytest.mark.parametrize("own", [hum(800), np.zeros(800, np.float32)])
    def test_no_difference_is_silence_and_not_amplified(self, own: np.ndarray) -> None:
        played = excerpts(own, own, (0, 800))
        assert not played.difference.any()
        assert played.difference_gain_db == 0


class TestFlac:
    def test_reads_back_to_half_a_step_and_is_smaller_than_a_wav(self) -> None:
        samples = hum(16_000)
        content = encode_flac(samples)
        read, rate = soundfile.read(io.BytesIO(content), dtype="float32")
        assert rate == SAMPLE_RATE
        assert np.abs(read - samples).max() <= 0.5 / 32_768 + 1e-7
        assert len(content) < 2 * len(samples)

    def test_the_same_samples_give_the_same_bytes(self) -> None:
        assert encode_flac(hum(5000)) == encode_flac(hum(5000))

    @pytest.mark.parametrize("samples", [np.zeros((2, 5)), np.array([0.0, np.nan])])
    def test_what_is_no_channel_of_finite_numbers_is_refused(self, samples: np.ndarray) -> None:
        with pytest.raises(ValueError, match="must be"):
            encode_flac(samples.astype(np.float32))
