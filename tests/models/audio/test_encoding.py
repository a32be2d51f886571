"""Samples → WAV."""

import io

import numpy as np
import pytest
import soundfile

from models.audio import decode, encode_wav
from tests.models.audio.files import (
    Samples,
    tone,
)


class TestEncodeWav:
    def test_float32_comes_back_bit_for_bit(self) -> None:
        np.testing.assert_array_equal(decode(encode_wav(tone())).samples, tone())

    def test_pcm16_comes_back_within_half_a_step(self) -> None:
        back = decode(encode_wav(tone(), encoding="pcm16")).samples
        np.testing.assert_allclose(back, tone(), atol=0.5 / 32_768)

    def test_pcm16_clips_what_exceeds_full_scale(self) -> None:
        back = decode(encode_wav(tone() * 4, encoding="pcm16")).samples
        assert back.max() == pytest.approx(32_767 / 32_768)
        assert back.min() == -1.0

    @pytest.mark.parametrize("encoding", ["float32", "pcm16"])
    def test_other_programs_read_it(self, encoding: str) -> None:
        data = encode_wav(tone(), 22_050, "pcm16" if encoding == "pcm16" else "float32")
        samples, rate = soundfile.read(io.BytesIO(data), dtype="float32")
        assert rate == 22_050
        np.testing.assert_allclose(samples, tone(), atol=1e-4)

    def test_equal_samples_give_equal_bytes(self) -> None:
        assert encode_wav(tone()) == encode_wav(tone())

    @pytest.mark.parametrize("bad", [np.zeros((2, 3), np.float32), np.array([np.nan], np.float32)])
    def test_anything_but_one_finite_channel_is_refused(self, bad: Samples) -> None:
        with pytest.raises(ValueError, match="finite"):
            encode_wav(bad)
