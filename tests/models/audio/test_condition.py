"""What is kept of a recording so that it need not be decoded again."""

import pytest

from models.audio import Condition, active_level_dbfs, decode, encode_wav, level_warnings
from tests.models.audio.files import tone


def condition(loudness: float = 1.0) -> Condition:
    return Condition.of(decode(encode_wav(loudness * tone(0.3), encoding="pcm16")))


def test_is_the_level_and_what_decoding_warns_of() -> None:
    found = condition()
    assert found.level_dbfs == pytest.approx(active_level_dbfs(tone(0.3)), abs=0.01)
    assert found.warnings == ("too_short",)


@pytest.mark.parametrize("levels", [(-20.0, -5.0), (-8.0, -5.0), (-20.0, -12.0), None])
def test_a_model_is_told_what_a_prediction_tells(levels: tuple[float, float] | None) -> None:
    waveform = decode(encode_wav(tone(0.3), encoding="pcm16"))
    predicted = [*waveform.warnings, *level_warnings(waveform.samples, levels)]
    assert condition().codes(levels) == tuple(warning.code for warning in predicted)


def test_digital_silence_has_no_level_to_warn_of() -> None:
    assert Condition(None, ("digital_silence",)).codes((-40.0, -20.0)) == ("digital_silence",)
