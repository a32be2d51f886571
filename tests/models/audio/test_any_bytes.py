"""Whatever comes in is decoded or refused."""

import struct
from datetime import timedelta

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from models.audio import AudioError, decode
from tests.models.audio.files import (
    GUIDS,
    chunk,
    riff,
    tone,
    wav,
    wave_format,
    written,
)


def decodes_or_refuses(data: bytes) -> None:
    try:
        waveform = decode(data, max_seconds=5.0)
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
    written(tone(0.05), subtype="ULAW"),
    written(tone(0.05), container="RF64"),
    written(tone(0.05), container="W64"),
    written(tone(0.05), container="AIFF"),
    written(tone(0.05), subtype="FLOAT", container="AIFF"),
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
    @example(b"FORM\x00\x00\x00\x24AIFFCOMM" + bytes(32))
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
        tag=st.sampled_from([1, 3, 6, 7, 0xFFFE]),
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
