"""FLAC headers, and what reaches the decoder."""

import numpy as np
import pytest

from models.audio import decode
from tests.models.audio.files import (
    fault,
    tone,
    written,
)


class TestFlac:
    def test_it_gives_the_samples_of_the_same_wav(self) -> None:
        for channels in (1, 2):
            samples = np.stack([tone() * 0.5, tone()][:channels], axis=1)
            steps = (samples * 32_767).astype(np.int16)
            flac = decode(written(steps, container="FLAC"))
            np.testing.assert_array_equal(flac.samples, decode(written(steps)).samples)
            assert flac.channel == channels - 1

    def test_its_metadata_never_reach_the_decoder(self) -> None:
        data = written(tone(), container="FLAC")
        at = 42
        comment = b"\x04" + (1_000).to_bytes(3, "big") + b"\xff" * 1_000  # lengths beyond the block
        assert data[4] == 0, "STREAMINFO is not the last block"
        spoilt = data[:at] + comment + data[at:]
        np.testing.assert_array_equal(decode(spoilt).samples, decode(data).samples)

    def test_too_many_channels(self) -> None:
        data = written(np.stack([tone()] * 8, axis=1), container="FLAC")
        assert fault(data).code == "unsupported_channels"

    def test_a_rate_outside_4_to_192_khz(self) -> None:
        assert fault(written(tone(), 200_000, container="FLAC")).code == "unsupported_rate"

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
