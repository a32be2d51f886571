"""Recordings → the samples of one channel at 16 kHz, whatever the container."""

import struct
from typing import Literal

import numpy as np
import pytest

from models.audio import AudioError, decode, encode_wav
from tests.models.audio.files import (
    chunk,
    fault,
    pcm16,
    riff,
    tone,
    wav,
    written,
)


class TestAccepted:
    def test_the_waveform_says_where_it_came_from(self) -> None:
        waveform = decode(written(tone(0.25, 44_100), 44_100))
        assert (waveform.source_rate, waveform.channels, waveform.channel) == (44_100, 1, 0)
        assert waveform.duration_s == pytest.approx(0.25)
        assert waveform.samples.dtype == np.float32
        assert waveform.samples.flags.writeable
        assert [one.code for one in waveform.warnings] == ["resampled_from", "too_short"]
        assert [one.value for one in waveform.warnings] == [44_100, 0.25]

    @pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 48_000])
    def test_other_rates_are_resampled_to_16_khz(self, rate: int) -> None:
        waveform = decode(written(tone(1.0, rate), rate, "FLOAT"))
        middle = slice(1_000, 15_000)
        assert len(waveform.samples) == pytest.approx(16_000, abs=1)
        np.testing.assert_allclose(waveform.samples[middle], tone(1.0)[middle], atol=2e-3)

    def test_what_a_low_rate_leaves_out_is_told(self) -> None:
        _, limited = decode(written(tone(1.0, 8_000), 8_000)).warnings
        assert (limited.code, limited.value) == ("band_limited", 4.0)
        assert "nothing above 4 kHz" in limited.message

    @pytest.mark.parametrize("louder", [0, 1])
    def test_of_two_channels_the_louder_is_taken_and_named(self, louder: int) -> None:
        both = np.stack([tone() * 0.1, tone() * 0.1], axis=1)
        both[:, louder] = tone(hz=500)
        waveform = decode(written(both, subtype="FLOAT"))
        assert (waveform.channels, waveform.channel) == (2, louder)
        (warning,) = waveform.warnings
        assert warning.code == "one_channel_of_two"
        assert warning.value == ("left", "right")[louder]
        np.testing.assert_array_equal(waveform.samples, both[:, louder])

    def test_a_constant_offset_does_not_make_a_channel_loud(self) -> None:
        both = np.stack([np.full(8_000, 0.9, np.float32), tone()], axis=1)
        assert decode(written(both)).channel == 1

    def test_float_samples_may_exceed_full_scale_a_little(self) -> None:
        assert decode(encode_wav(tone() * 3)).samples.max() == pytest.approx(1.5, rel=1e-3)

    def test_exactly_one_analysis_window_is_enough(self) -> None:
        assert len(decode(written(tone(0.032))).samples) == 512
        assert len(decode(written(tone(0.0321, 44_100), 44_100)).samples) >= 512

    @pytest.mark.parametrize("hz", [50.0, 50.3, 60.0, 61.7])
    @pytest.mark.parametrize("seconds", [0.35, 2.0])
    def test_hum_does_not_make_a_channel_loud(self, hz: float, seconds: float) -> None:
        """Also where it is 40 dB above the voice, and no whole number of its periods."""
        both = np.stack([tone(seconds, hz=hz), tone(seconds) * 0.01], axis=1)
        assert decode(written(both)).channel == 1

    @pytest.mark.parametrize(("channel", "number"), [("left", 0), ("right", 1)])
    def test_a_channel_can_be_chosen(self, channel: Literal["left", "right"], number: int) -> None:
        both = np.stack([tone() * 0.2, tone(hz=500)], axis=1)
        waveform = decode(written(both, subtype="FLOAT"), channel=channel)
        assert waveform.channel == number
        np.testing.assert_array_equal(waveform.samples, both[:, number])

    def test_a_lone_channel_is_the_left_one(self) -> None:
        np.testing.assert_array_equal(decode(wav(), channel="left").samples, decode(wav()).samples)
        with pytest.raises(AudioError, match="has one channel") as caught:
            decode(wav(), channel="right")
        assert caught.value.code == "no_such_channel"

    @pytest.mark.parametrize("rate", [4_000, 16_000, 192_000])
    def test_rates_of_4_to_192_khz(self, rate: int) -> None:
        assert len(decode(written(tone(rate=rate), rate)).samples) == pytest.approx(8_000, abs=1)


class TestRefused:
    def test_an_empty_body(self) -> None:
        assert fault(b"").code == "empty_body"

    @pytest.mark.parametrize(
        ("data", "named"),
        [
            (b"Dear Sir or Madam,\nplease find enclosed", "text"),
            (b'{"audio": "UklGRg=="}', "JSON"),
            (b"ID3\x04\x00" + bytes(100), "MP3"),
            (b"\xff\xfb\x90\x64" + bytes(500), "MP3"),
            (b"OggS" + bytes(100), "Ogg file"),
            (b"\x1aE\xdf\xa3" + bytes(100), "docs/recording-in-a-browser.md"),
            (b"\x00\x00\x00\x20ftypM4A " + bytes(100), "MP4"),
            (b"RIFX" + bytes(100), "big-endian"),
            (b"RIFF\x64\x00\x00\x00AVI " + bytes(100), "another kind than WAVE"),
            (bytes(100), "00000000"),
        ],
    )
    def test_something_else_is_named(self, data: bytes, named: str) -> None:
        error = fault(data)
        assert error.code == "not_audio"
        assert named in str(error)
        assert "ffmpeg" in str(error)

    @pytest.mark.parametrize("rate", [0, 3_999, 192_001, 2**32 - 1])
    def test_rates_outside_4_to_192_khz(self, rate: int) -> None:
        samples = pcm16(tone())
        fmt = struct.pack("<HHIIHH", 1, 1, rate, 0, 2, 16)
        error = fault(riff(chunk(b"fmt ", fmt), chunk(b"data", samples)))
        assert error.code == "unsupported_rate"
        assert str(rate) in str(error)

    def test_shorter_than_one_analysis_window(self) -> None:
        error = fault(written(tone(511 / 16_000)))
        assert error.code == "too_short"
        assert "31.9 ms" in str(error)
        assert fault(written(tone(0.03, 48_000), 48_000)).code == "too_short"

    def test_longer_than_allowed(self) -> None:
        assert fault(wav(), max_seconds=0.49).code == "too_long"
        assert len(decode(wav(), max_seconds=0.5).samples) == 8_000

    @pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
    @pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
    def test_samples_that_are_no_numbers(self, value: float, subtype: str) -> None:
        samples = tone()
        samples[4_000] = value
        assert fault(written(samples, subtype=subtype)).code == "non_finite"

    def test_doubles_beyond_single_precision(self) -> None:
        samples = tone().astype(np.float64)
        samples[1] = 1e300
        assert fault(written(samples, subtype="DOUBLE")).code == "non_finite"

    def test_float_samples_in_units_of_16_bit(self) -> None:
        error = fault(written(tone() * 32_768, subtype="FLOAT"))
        assert error.code == "out_of_range"
        assert "16384" in str(error)

    def test_two_channels_whose_squares_overflow(self) -> None:
        both = np.stack([tone() * 3e38, tone()], axis=1)
        assert fault(written(both, subtype="FLOAT")).code == "out_of_range"

    @pytest.mark.parametrize("level", [0.0, 0.3])
    def test_silence_also_with_a_constant_offset(self, level: float) -> None:
        assert fault(written(np.full(8_000, level, np.float32))).code == "silent"

    def test_silence_with_dither(self) -> None:
        dither = np.random.default_rng(0).integers(-1, 2, 8_000) / 32_768
        assert fault(written(dither.astype(np.float32))).code == "silent"
