"""How loud speech is, and what is said where a model has learnt from other levels."""

import math

import numpy as np
import pytest

from models.audio import active_level_dbfs, level_range, level_warnings
from tests.models.audio.files import Samples, tone

SINE_AT_HALF = -3.01 - 6.02
"""dBFS of `tone`, a sine with a peak of .5."""


def noise(seconds: float, rms: float) -> Samples:
    drawn = np.random.default_rng(0).standard_normal(round(seconds * 16_000))
    return (rms * drawn).astype(np.float32)


class TestActiveLevel:
    def test_of_a_sine_it_is_its_rms(self) -> None:
        assert active_level_dbfs(tone()) == pytest.approx(SINE_AT_HALF, abs=0.02)

    def test_pauses_do_not_count(self) -> None:
        pause = noise(5.0, 0.5 * 10 ** (-45 / 20))
        with_pauses = np.concatenate([pause, tone(1.0), pause])
        assert active_level_dbfs(with_pauses) == pytest.approx(SINE_AT_HALF, abs=0.15)

    def test_the_quieter_parts_of_speech_do(self) -> None:
        loud, quiet = tone(1.0), tone(1.0) * 0.1
        mean = 10 * math.log10((1 + 0.01) / 2)
        both = np.concatenate([loud, quiet])
        assert active_level_dbfs(both) == pytest.approx(SINE_AT_HALF + mean, abs=0.1)

    @pytest.mark.parametrize("db", [-26.0, 6.0])
    def test_a_gain_moves_it_by_as_much(self, db: float) -> None:
        voice = noise(1.0, 0.1) * np.sin(np.linspace(0, 9, 16_000)).astype(np.float32)
        louder = (voice * 10 ** (db / 20)).astype(np.float32)
        before, after = active_level_dbfs(voice), active_level_dbfs(louder)
        assert before is not None
        assert after == pytest.approx(before + db, abs=1e-4)

    def test_it_is_the_formula(self) -> None:
        voice = noise(0.7, 0.1) * np.geomspace(1, 1e-4, 11_200).astype(np.float32)
        frames = [voice[at : at + 512].astype(float) for at in range(0, 11_200 - 511, 256)]
        powers = [float(np.mean(frame**2)) for frame in frames]
        active = [power for power in powers if power >= max(powers) / 10**4]
        assert 1 < len(active) < len(powers)
        wanted = 10 * math.log10(sum(active) / len(active))
        assert active_level_dbfs(voice) == pytest.approx(wanted, abs=1e-6)

    def test_digital_silence_has_none(self) -> None:
        assert active_level_dbfs(np.zeros(512, np.float32)) is None

    def test_less_than_a_frame_is_refused(self) -> None:
        with pytest.raises(ValueError, match="511 samples do not fill one frame"):
            active_level_dbfs(tone()[:511])


class TestRange:
    def test_leaves_out_a_hundredth_at_either_end(self) -> None:
        """Of 1,000 levels, eight that are far off do not move it."""
        levels = [*np.linspace(-40, -20, 984), *[-90.0] * 8, *[-3.0] * 8]
        assert level_range(levels) == pytest.approx((-40, -20), abs=0.2)

    def test_is_rounded_outwards(self) -> None:
        assert level_range([-31.234, -31.231]) == (-31.3, -31.2)

    @pytest.mark.parametrize("levels", [[], [None], [-30.0], [-30.0, None, -30.0]])
    def test_there_is_none_without_two_levels(self, levels: list[float | None]) -> None:
        assert level_range(levels) is None


class TestWarning:
    @pytest.mark.parametrize(
        ("levels", "named"),
        [((-8.0, -4.0), "1.0 dB quieter than the -8.0 to -4.0"), ((-30.0, -12.0), "3.0 dB louder")],
    )
    def test_speech_outside_the_training_levels_is_told(
        self, levels: tuple[float, float], named: str
    ) -> None:
        (warning,) = level_warnings(tone(), levels)
        assert warning.code == "level"
        assert warning.value == pytest.approx(SINE_AT_HALF, abs=0.02)
        assert named in warning.message

    @pytest.mark.parametrize("levels", [(-10.0, -8.0), None])
    def test_speech_within_them_is_not_nor_where_the_model_does_not_say(
        self, levels: tuple[float, float] | None
    ) -> None:
        assert level_warnings(tone(), levels) == ()

    def test_silence_has_no_level(self) -> None:
        assert level_warnings(np.zeros(512, np.float32), (-40.0, -20.0)) == ()
