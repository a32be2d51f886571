"""AIFF headers."""

import io

import numpy as np
import pytest
import soundfile

from models.audio import decode
from tests.models.audio.files import (
    fault,
    tone,
    written,
)

INTEGERS = ("PCM_S8", "PCM_16", "PCM_24", "PCM_32")


class TestAccepted:
    @pytest.mark.parametrize("subtype", [*INTEGERS, "FLOAT", "DOUBLE", "ULAW", "ALAW"])
    def test_samples_equal_what_the_decoder_makes_of_the_whole_file(self, subtype: str) -> None:
        data = written(tone(), subtype=subtype, container="AIFF")
        reference, _ = soundfile.read(io.BytesIO(data), dtype="float32")
        np.testing.assert_array_equal(decode(data).samples, reference)

    def test_little_endian_samples(self) -> None:
        data = written(tone(), subtype="PCM_16", container="AIFF", endian="LITTLE")
        assert b"sowt" in data
        np.testing.assert_array_equal(decode(data).samples, decode(written(tone())).samples)

    @pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 96_000])
    def test_the_rate_is_a_float_of_80_bits(self, rate: int) -> None:
        data = written(tone(rate=rate), rate, container="AIFF")
        assert decode(data).source_rate == rate

    def test_a_file_that_was_cut_off_says_how_much_is_missing(self) -> None:
        whole = written(tone(1.0), container="AIFF")
        (warning,) = decode(whole[:-8_000]).warnings
        assert (warning.code, warning.value) == ("truncated", 0.25)


class TestRefused:
    @pytest.mark.parametrize("length", [12, 30, 37])
    def test_a_header_cut_off(self, length: int) -> None:
        assert fault(written(tone(), container="AIFF")[:length]).code == "truncated_header"

    def test_no_samples(self) -> None:
        data = written(tone(), container="AIFF")
        assert fault(data[: data.index(b"SSND")]).code == "no_frames"

    def test_a_compression_that_is_not_known(self) -> None:
        data = written(tone(), subtype="FLOAT", container="AIFF").replace(b"FL32", b"ima4")
        error = fault(data)
        assert error.code == "unsupported_encoding"
        assert "ima4" in str(error)

    @pytest.mark.parametrize("exponent", [0, 0x7FFF, 0xC00E])
    def test_a_rate_that_is_none(self, exponent: int) -> None:
        data = bytearray(written(tone(), container="AIFF"))
        at = data.index(b"COMM") + 16
        data[at : at + 2] = exponent.to_bytes(2, "big")
        assert fault(bytes(data)).code == "bad_header"

    def test_another_form(self) -> None:
        assert "another kind than AIFF" in str(fault(b"FORM" + bytes(4) + b"8SVX" + bytes(60)))
