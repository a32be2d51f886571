"""WAV headers: what is accepted, what is refused, and what is said of it."""

import io
import struct

import numpy as np
import pytest
import soundfile

from models.audio import decode
from tests.models.audio.files import (
    GUIDS,
    chunk,
    codes,
    fault,
    pcm16,
    riff,
    tone,
    wav,
    wave_format,
    written,
)

ENCODINGS = ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW")
STREAMED = (0, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def sized(data_size: int, riff_size: int | None = None, behind: bytes = b"") -> bytes:
    """A tone of half a second whose header has these sizes."""
    parts = chunk(b"fmt ", wave_format()), chunk(b"data", pcm16(tone()), data_size), behind
    return riff(*parts, size=riff_size)


class TestAccepted:
    @pytest.mark.parametrize("encoding", ENCODINGS)
    @pytest.mark.parametrize("container", ["WAV", "WAVEX"])
    def test_samples_equal_what_the_decoder_makes_of_the_whole_file(
        self, encoding: str, container: str
    ) -> None:
        data = written(tone(), subtype=encoding, container=container)
        reference, _ = soundfile.read(io.BytesIO(data), dtype="float32")
        np.testing.assert_array_equal(decode(data).samples, reference)

    def test_chunks_around_the_samples_are_passed_over(self) -> None:
        data = riff(
            chunk(b"LIST", b"INFOodd"),  # an odd size, followed by a byte of padding
            chunk(b"fmt ", wave_format()),
            chunk(b"cue ", b"\xff" * 28),
            chunk(b"data", pcm16(tone())),
            chunk(b"junk", b"123"),
        )
        np.testing.assert_array_equal(decode(data).samples, decode(wav()).samples)

    def test_half_a_frame_at_the_end_is_ignored(self) -> None:
        body = pcm16(np.repeat(tone(), 2)) + b"\1\2"
        data = riff(chunk(b"fmt ", wave_format(channels=2)), chunk(b"data", body))
        assert decode(data).duration_s == 0.5

    @pytest.mark.parametrize(("subtype", "tag"), [("ALAW", 6), ("ULAW", 7)])
    def test_g711_inside_the_extensible_format(self, subtype: str, tag: int) -> None:
        plain = written(tone(rate=8_000), 8_000, subtype)
        fmt = wave_format(0xFFFE, rate=8_000, bits=8) + struct.pack("<HHI", 22, 8, 4) + GUIDS[tag]
        body = plain[plain.index(b"data") + 8 :]
        data = riff(chunk(b"fmt ", fmt), chunk(b"data", body))
        np.testing.assert_array_equal(decode(data).samples, decode(plain).samples)

    def test_twenty_bits_lie_in_the_upper_ones_of_three_bytes(self) -> None:
        steps = (tone() * 2**19).astype(np.int32) << 4
        body = b"".join(int(one).to_bytes(3, "little", signed=True) for one in steps)
        data = riff(chunk(b"fmt ", wave_format(bits=20, block=3)), chunk(b"data", body))
        np.testing.assert_allclose(decode(data).samples, tone(), atol=2**-19)

    def test_a_frame_of_zero_bytes_is_computed(self) -> None:
        np.testing.assert_array_equal(decode(wav(block=0)).samples, decode(wav()).samples)

    @pytest.mark.parametrize("container", ["RF64", "W64"])
    @pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT"])
    def test_files_of_more_than_four_gigabytes_may_be_short(
        self, container: str, subtype: str
    ) -> None:
        data = written(tone(), subtype=subtype, container=container)
        reference = decode(written(tone(), subtype=subtype))
        np.testing.assert_array_equal(decode(data).samples, reference.samples)
        assert codes(data) == []

    def test_a_tag_before_the_file(self) -> None:
        tag = b"ID3\x04\x00\x00" + bytes([0, 0, 1, 2]) + b"\0" * 130  # 1 * 128 + 2
        np.testing.assert_array_equal(decode(tag + wav()).samples, decode(wav()).samples)


class TestSizesThatAreNotSo:
    @pytest.mark.parametrize("size", STREAMED)
    @pytest.mark.parametrize("riff_size", STREAMED)
    def test_of_streams_all_is_taken_that_is_there(self, size: int, riff_size: int) -> None:
        data = sized(size, riff_size)
        np.testing.assert_array_equal(decode(data).samples, decode(wav()).samples)
        (warning,) = decode(data).warnings
        assert (warning.code, warning.value) == ("unknown_length", 0.5)

    def test_of_a_stream_with_half_a_frame_at_its_end_whole_frames_are_taken(self) -> None:
        assert decode(sized(0xFFFFFFFF) + b"\1").duration_s == 0.5

    def test_a_size_of_zero_before_other_chunks_is_one_of_no_samples(self) -> None:
        data = riff(chunk(b"fmt ", wave_format()), chunk(b"data", b""), chunk(b"LIST", b"1234"))
        assert fault(data).code == "no_frames"

    def test_a_file_that_was_cut_off_says_how_much_is_missing(self) -> None:
        (warning,) = decode(wav(tone(1.0))[: 44 + 24_000]).warnings
        assert (warning.code, warning.value) == ("truncated", 0.25)
        assert "0.25 s before the end" in warning.message

    def test_half_a_frame_that_is_missing_is_not_told_in_whole_ones(self) -> None:
        data = sized(16_002, 16_038)
        assert codes(data) == ["truncated"]
        np.testing.assert_array_equal(decode(data).samples, decode(wav()).samples)

    @pytest.mark.parametrize("off", [-20_000 + 5, -10, 2, 8])
    def test_a_riff_size_that_is_off_is_told(self, off: int) -> None:
        data = sized(16_000, max(4, 16_036 + off))
        (warning,) = decode(data).warnings
        assert warning.code == "header_size"
        assert warning.value == max(4, 16_036 + off) - 16_036

    @pytest.mark.parametrize("behind", [b"trailing", chunk(b"LIST", b"1234", size=2**31)])
    def test_what_lies_behind_the_samples_is_not_looked_at(self, behind: bytes) -> None:
        data = sized(16_000, 16_036, behind)
        np.testing.assert_array_equal(decode(data).samples, decode(wav()).samples)
        assert codes(data) == []

    def test_a_padding_byte_that_is_counted_and_not_written(self) -> None:
        body = bytes([128, 200, 90] * 2_667)
        data = riff(chunk(b"fmt ", wave_format(bits=8)), chunk(b"data", body))
        assert len(body) % 2
        assert codes(data[:-1]) == []
        assert decode(data[:-1]).duration_s == 8_001 / 16_000


class TestRefused:
    @pytest.mark.parametrize("length", [4, 11, 12, 20, 36, 43])
    def test_a_header_cut_off(self, length: int) -> None:
        error = fault(wav()[:length])
        assert error.code == "truncated_header"
        assert f"after {length} bytes" in str(error)

    def test_a_chunk_size_of_zero_does_not_loop(self) -> None:
        data = riff(*[chunk(b"junk", b"")] * 1_000)
        assert fault(data).code == "bad_header"

    def test_no_format(self) -> None:
        assert fault(riff(chunk(b"data", pcm16(tone())))).code == "bad_header"
        assert fault(riff(chunk(b"LIST", bytes(40)))).code == "truncated_header"

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

    def test_an_extensible_format_cut_off(self) -> None:
        data = riff(chunk(b"fmt ", wave_format(tag=0xFFFE)), chunk(b"data", pcm16(tone())))
        assert fault(data).code == "truncated_header"

    @pytest.mark.parametrize("channels", [0, 3, 8, 65_535])
    def test_other_than_one_or_two_channels(self, channels: int) -> None:
        block = min(channels * 2, 65_535)
        error = fault(wav(channels=channels, block=block))
        assert error.code == "unsupported_channels"
        assert str(channels) in str(error)

    def test_frames_of_another_size_than_channels_and_bits_say(self) -> None:
        assert fault(wav(block=4)).code == "bad_header"

    def test_the_format_given_twice(self) -> None:
        parts = [chunk(b"fmt ", wave_format())] * 2
        assert fault(riff(*parts, chunk(b"data", pcm16(tone())))).code == "bad_header"

    def test_a_chunk_before_the_samples_that_leads_beyond_the_file(self) -> None:
        early = chunk(b"LIST", b"1234", size=2**31)
        error = fault(riff(chunk(b"fmt ", wave_format()), early, chunk(b"data", pcm16(tone()))))
        assert error.code == "bad_chunk_size"
        assert str(2**31) in str(error)

    def test_gsm_is_named_with_a_way_out(self) -> None:
        error = fault(written(tone(rate=8_000), 8_000, "GSM610"))
        assert error.code == "unsupported_encoding"
        assert "is GSM 6.10." in str(error)
        assert "ffmpeg" in str(error)

    @pytest.mark.parametrize(("tag", "bits"), [(1, 4), (1, 64), (1, 0), (3, 16), (7, 16)])
    def test_bits_outside_the_list(self, tag: int, bits: int) -> None:
        error = fault(wav(tag=tag, bits=bits))
        assert error.code == "unsupported_encoding"
        assert f"{bits}-bit" in str(error)

    def test_an_unknown_encoding(self) -> None:
        assert "format 0x1234" in str(fault(wav(tag=0x1234)))
        assert "is MP3." in str(fault(wav(tag=0x55)))

    @pytest.mark.parametrize("length", [41, 60, 100])
    def test_wave64_cut_off(self, length: int) -> None:
        assert fault(written(tone(), container="W64")[:length]).code in {
            "truncated_header",
            "no_frames",
        }

    def test_a_chunk_of_wave64_that_does_not_count_itself(self) -> None:
        data = bytearray(written(tone(), container="W64"))
        data[56:64] = (23).to_bytes(8, "little")
        assert fault(bytes(data)).code == "bad_chunk_size"

    def test_rf64_without_its_sizes(self) -> None:
        data = bytearray(written(tone(), container="RF64"))
        at = data.index(b"ds64") + 4
        data[at : at + 4] = (8).to_bytes(4, "little")
        assert fault(bytes(data)).code == "truncated_header"
