"""Bytes → mono float32 at 16 kHz: what is accepted, what is refused and in which words."""

import io
import struct
from datetime import timedelta

import numpy as np
import numpy.typing as npt
import pytest
import soundfile
from hypothesis import example, given, settings
from hypothesis import strategies as st

from models.audio import (
    GUID_TAIL,
    AudioError,
    decode,
    decode_flac,
    decode_recording,
    encode_wav,
)

Samples = npt.NDArray[np.float32]

GUIDS = {1: b"\x01\x00" + GUID_TAIL, 3: b"\x03\x00" + GUID_TAIL}
ENCODINGS = ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")


def tone(seconds: float = 0.5, rate: int = 16_000, hz: float = 440.0) -> Samples:
    time = np.arange(round(seconds * rate)) / rate
    return (0.5 * np.sin(2 * np.pi * hz * time)).astype(np.float32)


def chunk(name: bytes, body: bytes, size: int | None = None) -> bytes:
    claimed = len(body) if size is None else size
    return name + struct.pack("<I", claimed) + body + b"\0" * (len(body) % 2)


def wave_format(
    tag: int = 1, channels: int = 1, rate: int = 16_000, bits: int = 16, block: int | None = None
) -> bytes:
    frame = channels * bits // 8 if block is None else block
    return struct.pack("<HHIIHH", tag, channels, rate, rate * frame, frame, bits)


def riff(*chunks: bytes, size: int | None = None) -> bytes:
    return chunk(b"RIFF", b"WAVE" + b"".join(chunks), size)


def pcm16(samples: Samples) -> bytes:
    return (samples * 32_767).astype("<i2").tobytes()


def wav(samples: Samples | None = None, **format_fields: int) -> bytes:
    """A 16-bit WAV whose format chunk may claim something else."""
    body = pcm16(tone() if samples is None else samples)
    return riff(chunk(b"fmt ", wave_format(**format_fields)), chunk(b"data", body))


def written(
    samples: Samples | npt.NDArray[np.int16] | npt.NDArray[np.float64],
    rate: int = 16_000,
    subtype: str = "PCM_16",
    container: str = "WAV",
) -> bytes:
    """The same, by libsndfile."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, subtype=subtype, format=container)
    return file.getvalue()


def fault(data: bytes, max_seconds: float = 60.0) -> AudioError:
    with pytest.raises(AudioError) as caught:
        decode_recording(data, max_seconds=max_seconds)
    return caught.value


class TestAcceptedWav:
    @pytest.mark.parametrize("encoding", ENCODINGS)
    @pytest.mark.parametrize("container", ["WAV", "WAVEX"])
    def test_samples_equal_what_the_decoder_makes_of_the_whole_file(
        self, encoding: str, container: str
    ) -> None:
        data = written(tone(), subtype=encoding, container=container)
        reference, _ = soundfile.read(io.BytesIO(data), dtype="float32")
        np.testing.assert_array_equal(decode(data).samples, reference)

    def test_the_waveform_says_where_it_came_from(self) -> None:
        waveform = decode(written(tone(0.25, 44_100), 44_100))
        assert (waveform.source_rate, waveform.channels, waveform.channel) == (44_100, 1, 0)
        assert waveform.duration_s == pytest.approx(0.25)
        assert waveform.samples.dtype == np.float32
        assert waveform.samples.flags.writeable
        assert waveform.warnings == ()

    @pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 48_000])
    def test_other_rates_are_resampled_to_16_khz(self, rate: int) -> None:
        waveform = decode(written(tone(1.0, rate), rate, "FLOAT"))
        middle = slice(1_000, 15_000)
        assert len(waveform.samples) == pytest.approx(16_000, abs=1)
        np.testing.assert_allclose(waveform.samples[middle], tone(1.0)[middle], atol=2e-3)

    def test_a_low_rate_is_accepted_with_a_warning(self) -> None:
        assert "nothing above 4 kHz" in decode(written(tone(1.0, 8_000), 8_000)).warnings[0]

    @pytest.mark.parametrize("louder", [0, 1])
    def test_of_two_channels_the_louder_is_taken_and_named(self, louder: int) -> None:
        both = np.stack([tone() * 0.1, tone() * 0.1], axis=1)
        both[:, louder] = tone(hz=500)
        waveform = decode(written(both, subtype="FLOAT"))
        assert (waveform.channels, waveform.channel) == (2, louder)
        assert ("left", "right")[louder] in waveform.warnings[0]
        np.testing.assert_array_equal(waveform.samples, both[:, louder])

    def test_a_constant_offset_does_not_make_a_channel_loud(self) -> None:
        both = np.stack([np.full(8_000, 0.9, np.float32), tone()], axis=1)
        assert decode(written(both)).channel == 1

    def test_chunks_around_the_samples_are_passed_over(self) -> None:
        data = riff(
            chunk(b"LIST", b"INFOodd"),  # an odd size, followed by a byte of padding
            chunk(b"fmt ", wave_format()),
            chunk(b"cue ", b"\xff" * 28),
            chunk(b"data", pcm16(tone())),
            chunk(b"junk", b"123"),
        )
        np.testing.assert_array_equal(decode(data).samples, decode(wav()).samples)

    def test_a_last_chunk_of_odd_size_may_lack_its_padding(self) -> None:
        body = np.full(8_001, 128, np.uint8)
        body[::7] = 200
        data = riff(chunk(b"fmt ", wave_format(bits=8)), chunk(b"data", body.tobytes()))
        assert len(decode(data[:-1][:4] + struct.pack("<I", len(data) - 9) + data[8:-1]).samples)

    def test_bytes_after_the_riff_chunk_are_ignored(self) -> None:
        assert len(decode(wav() + b"trailing").samples) == 8_000

    def test_half_a_frame_at_the_end_is_ignored(self) -> None:
        body = pcm16(np.repeat(tone(), 2)) + b"\1\2"
        data = riff(chunk(b"fmt ", wave_format(channels=2)), chunk(b"data", body))
        assert decode(data).duration_s == 0.5

    def test_float_samples_may_exceed_full_scale_a_little(self) -> None:
        assert decode(encode_wav(tone() * 3)).samples.max() == pytest.approx(1.5, rel=1e-3)

    def test_exactly_one_analysis_window_is_enough(self) -> None:
        assert len(decode(written(tone(0.032))).samples) == 512
        assert len(decode(written(tone(0.0321, 44_100), 44_100)).samples) >= 512


class TestRefusedWav:
    def test_an_empty_body(self) -> None:
        assert fault(b"").code == "empty_body"

    @pytest.mark.parametrize(
        ("data", "named"),
        [
            (b"Dear Sir or Madam,\nplease find enclosed", "text"),
            (b'{"audio": "UklGRg=="}', "JSON"),
            (b"ID3\x04\x00" + bytes(100), "MP3"),
            (b"\xff\xfb\x90\x64" + bytes(500), "MP3"),
            (b"OggS" + bytes(100), "Ogg"),
            (b"\x00\x00\x00\x20ftypM4A " + bytes(100), "MP4"),
            (b"RIFX" + bytes(100), "big-endian"),
            (b"RF64" + bytes(100), "64-bit"),
            (b"RIFF\x64\x00\x00\x00AVI " + bytes(100), "RIFF file of another kind"),
            (bytes(100), "00000000"),
        ],
    )
    def test_something_else_is_named(self, data: bytes, named: str) -> None:
        error = fault(data)
        assert error.code == "not_wav"
        assert named in str(error)
        assert "Save it as WAV" in str(error)

    def test_flac_is_for_corpora_only(self) -> None:
        with pytest.raises(AudioError, match="a FLAC file, not a WAV"):
            decode(written(tone(), container="FLAC"))

    @pytest.mark.parametrize("length", [4, 11, 12, 20, 36, 43])
    def test_a_header_cut_off(self, length: int) -> None:
        error = fault(wav()[:length])
        assert error.code == "truncated_header"
        assert f"after {length} bytes" in str(error)

    def test_a_file_cut_off(self) -> None:
        error = fault(wav()[:1_000])
        assert error.code == "bad_chunk_size"
        assert "1000 bytes" in str(error)

    @pytest.mark.parametrize("size", [16_001, 2**31, 2**32 - 1])
    def test_a_data_chunk_that_claims_more_than_the_file_has(self, size: int) -> None:
        data = riff(chunk(b"fmt ", wave_format()), chunk(b"data", pcm16(tone()), size))
        error = fault(data)
        assert error.code == "bad_chunk_size"
        assert str(size) in str(error)

    def test_a_riff_chunk_that_claims_more_than_the_file_has(self) -> None:
        data = riff(chunk(b"fmt ", wave_format()), chunk(b"data", pcm16(tone())), size=2**32 - 1)
        assert fault(data).code == "bad_chunk_size"

    def test_a_chunk_after_the_samples_that_claims_too_much(self) -> None:
        data = riff(
            chunk(b"fmt ", wave_format()),
            chunk(b"data", pcm16(tone())),
            chunk(b"LIST", b"1234", size=2**31),
        )
        assert fault(data).code == "bad_chunk_size"

    def test_a_chunk_size_of_zero_does_not_loop(self) -> None:
        data = riff(*[chunk(b"junk", b"")] * 1_000)
        assert fault(data).code == "bad_header"

    @pytest.mark.parametrize("first", [b"fmt ", b"data"])
    def test_chunks_given_twice(self, first: bytes) -> None:
        parts = [chunk(b"fmt ", wave_format()), chunk(b"data", pcm16(tone()))]
        again = parts[0] if first == b"fmt " else parts[1]
        assert fault(riff(*parts, again)).code == "bad_header"

    def test_no_format(self) -> None:
        assert fault(riff(chunk(b"data", pcm16(tone())))).code == "truncated_header"

    def test_no_samples(self) -> None:
        assert fault(riff(chunk(b"fmt ", wave_format()), chunk(b"data", b""))).code == "no_frames"
        assert fault(riff(chunk(b"fmt ", wave_format()), chunk(b"LIST", b"1234"))).code == (
            "no_frames"
        )

    @pytest.mark.parametrize(
        ("subtype", "named"), [("MS_ADPCM", "Microsoft ADPCM"), ("IMA_ADPCM", "IMA ADPCM")]
    )
    def test_adpcm(self, subtype: str, named: str) -> None:
        error = fault(written(tone(), subtype=subtype))
        assert error.code == "unsupported_encoding"
        assert named in str(error)

    @pytest.mark.parametrize("subtype", ["ULAW", "ALAW", "GSM610"])
    def test_other_codecs(self, subtype: str) -> None:
        assert fault(written(tone(), subtype=subtype)).code == "unsupported_encoding"

    @pytest.mark.parametrize(("tag", "bits"), [(1, 12), (1, 64), (1, 0), (3, 16), (0x55, 16)])
    def test_formats_outside_the_list(self, tag: int, bits: int) -> None:
        error = fault(wav(tag=tag, bits=bits))
        assert error.code == "unsupported_encoding"
        assert str(bits) in str(error)

    @pytest.mark.parametrize(
        ("guid", "valid"),
        [(b"\x02\x00" + GUID_TAIL, 16), (b"\x01" + bytes(15), 16), (GUIDS[1], 24)],
    )
    def test_extensible_formats_outside_the_list(self, guid: bytes, valid: int) -> None:
        fmt = wave_format(tag=0xFFFE) + struct.pack("<HHI", 22, valid, 4) + guid
        data = riff(chunk(b"fmt ", fmt), chunk(b"data", pcm16(tone())))
        assert fault(data).code == "unsupported_encoding"

    def test_an_extensible_format_cut_off(self) -> None:
        data = riff(chunk(b"fmt ", wave_format(tag=0xFFFE)), chunk(b"data", pcm16(tone())))
        assert fault(data).code == "truncated_header"

    @pytest.mark.parametrize("channels", [0, 3, 8, 65_535])
    def test_other_than_one_or_two_channels(self, channels: int) -> None:
        block = min(channels * 2, 65_535)
        error = fault(wav(channels=channels, block=block))
        assert error.code == "unsupported_channels"
        assert str(channels) in str(error)

    @pytest.mark.parametrize("rate", [0, 4_000, 7_999, 48_001, 96_000, 2**32 - 1])
    def test_rates_outside_8_to_48_khz(self, rate: int) -> None:
        samples = pcm16(tone())
        fmt = struct.pack("<HHIIHH", 1, 1, rate, 0, 2, 16)
        error = fault(riff(chunk(b"fmt ", fmt), chunk(b"data", samples)))
        assert error.code == "unsupported_rate"
        assert str(rate) in str(error)

    def test_frames_of_another_size_than_channels_and_bits_say(self) -> None:
        assert fault(wav(block=4)).code == "bad_header"

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


class TestFlac:
    def test_it_gives_the_samples_of_the_same_wav(self) -> None:
        for channels in (1, 2):
            samples = np.stack([tone() * 0.5, tone()][:channels], axis=1)
            steps = (samples * 32_767).astype(np.int16)
            flac = decode_flac(written(steps, container="FLAC"))
            np.testing.assert_array_equal(flac.samples, decode(written(steps)).samples)
            assert flac.channel == channels - 1

    def test_its_metadata_never_reach_the_decoder(self) -> None:
        data = written(tone(), container="FLAC")
        at = 42
        comment = b"\x04" + (1_000).to_bytes(3, "big") + b"\xff" * 1_000  # lengths beyond the block
        assert data[4] == 0, "STREAMINFO is not the last block"
        spoilt = data[:at] + comment + data[at:]
        np.testing.assert_array_equal(decode_flac(spoilt).samples, decode_flac(data).samples)

    def test_too_many_channels(self) -> None:
        data = written(np.stack([tone()] * 8, axis=1), container="FLAC")
        assert fault(data).code == "unsupported_channels"

    def test_a_rate_outside_8_to_48_khz(self) -> None:
        assert fault(written(tone(), 96_000, container="FLAC")).code == "unsupported_rate"

    def test_the_claimed_length_is_bounded_before_anything_is_decoded(self) -> None:
        assert fault(written(tone(), container="FLAC"), max_seconds=0.1).code == "too_long"

    def test_an_unknown_length(self) -> None:
        data = bytearray(written(tone(), container="FLAC"))
        data[21] &= 0xF0
        data[22:26] = bytes(4)
        refused = fault(bytes(data))
        assert refused.code == "no_frames"
        assert "does not say how long it is" in str(refused)

    def test_a_claimed_length_that_the_frames_do_not_reach(self) -> None:
        data = bytearray(written(tone(), container="FLAC"))
        data[22:26] = (20_000).to_bytes(4, "big")
        assert fault(bytes(data)).code == "undecodable"

    @pytest.mark.parametrize("length", [4, 20, 41])
    def test_a_header_cut_off(self, length: int) -> None:
        data = written(tone(), container="FLAC")[:length]
        assert fault(data).code == "truncated_header"

    def test_frames_cut_off(self) -> None:
        data = written(tone(), container="FLAC")
        assert fault(data[: len(data) // 2]).code == "undecodable"

    def test_a_block_of_metadata_beyond_the_file(self) -> None:
        data = bytearray(written(tone(), container="FLAC"))
        data[43:46] = b"\xff\xff\xff"
        assert fault(bytes(data)).code == "bad_chunk_size"


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


def decodes_or_refuses(data: bytes) -> None:
    try:
        waveform = decode_recording(data, max_seconds=5.0)
    except AudioError:
        return
    assert waveform.samples.ndim == 1
    assert 512 <= len(waveform.samples) <= 5 * 16_000 + 1
    assert np.isfinite(waveform.samples).all()


SEEDS = [
    wav(tone(0.05)),
    wav(tone(0.05), channels=2),
    written(tone(0.05), subtype="FLOAT"),
    written(tone(0.05), subtype="PCM_24", container="WAVEX"),
    written(tone(0.05), subtype="DOUBLE"),
    written(tone(0.1), container="FLAC"),
    written(np.stack([tone(0.1), tone(0.1) / 2], axis=1), container="FLAC"),
]
BOUNDED = settings(max_examples=300, deadline=timedelta(seconds=2))


class TestAnyBytes:
    """Whatever comes in is decoded or refused, in bounded time, and never anything else."""

    @BOUNDED
    @given(st.binary(max_size=2_000))
    @example(b"RIFF" + bytes(40))
    @example(b"RIFF\x24\x00\x00\x00WAVE" + bytes(32))
    @example(b"fLaC\x00\x00\x00\x22" + b"\xff" * 40)
    def test_noise(self, data: bytes) -> None:
        decodes_or_refuses(data)

    @BOUNDED
    @given(
        seed=st.sampled_from(SEEDS),
        changes=st.lists(st.tuples(st.integers(0, 120), st.integers(0, 255)), max_size=6),
        cut=st.integers(0, 6_000),
    )
    def test_files_with_spoilt_headers_or_ends(
        self, seed: bytes, changes: list[tuple[int, int]], cut: int
    ) -> None:
        data = bytearray(seed)
        for at, value in changes:
            data[at % len(data)] = value
        decodes_or_refuses(bytes(data[: max(1, len(data) - cut)] if cut % 3 else data))

    @BOUNDED
    @given(
        tag=st.sampled_from([1, 3, 0xFFFE]),
        channels=st.integers(0, 4),
        rate=st.integers(0, 60_000),
        bits=st.sampled_from([8, 16, 24, 32, 64]),
        body=st.binary(max_size=6_000),
    )
    def test_consistent_headers_before_noise(
        self, tag: int, channels: int, rate: int, bits: int, body: bytes
    ) -> None:
        fmt = wave_format(tag, channels, rate, bits)
        if tag == 0xFFFE:
            fmt += struct.pack("<HHI", 22, bits, 0) + GUIDS[3 if bits > 24 else 1]
        decodes_or_refuses(riff(chunk(b"fmt ", fmt), chunk(b"data", body)))
