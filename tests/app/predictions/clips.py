"""WAV files, good and bad, written byte by byte."""

import struct
from typing import Final

import numpy as np

from models.audio import Samples, encode_wav

RATE: Final = 16_000
PCM: Final = 1
FLOAT: Final = 3
ADPCM: Final = 2


def noise(seconds: float = 0.5, loudness: float = 0.1, seed: int = 0) -> Samples:
    """Samples at 16 kHz."""
    return np.asarray(
        np.random.default_rng(seed).standard_normal(int(RATE * seconds)) * loudness, np.float32
    )


def good_wav(seconds: float = 0.5, loudness: float = 0.1, seed: int = 0) -> bytes:
    """A clip that every model accepts."""
    return encode_wav(noise(seconds, loudness, seed), encoding="pcm16")


def chunk(name: bytes, body: bytes, size: int | None = None) -> bytes:
    """A RIFF chunk; ``size`` is what it claims."""
    return name + struct.pack("<I", len(body) if size is None else size) + body


def wav(
    body: bytes,
    *,
    tag: int = PCM,
    channels: int = 1,
    rate: int = RATE,
    bits: int = 16,
    data_size: int | None = None,
) -> bytes:
    """A WAV file around ``body``, whatever its header then means."""
    block = channels * bits // 8
    fmt = struct.pack("<HHIIHH", tag, channels, rate, rate * block, block, bits)
    return chunk(b"RIFF", b"WAVE" + chunk(b"fmt ", fmt) + chunk(b"data", body, data_size))


_PCM16: Final = (noise() * 32_767).astype("<i2").tobytes()
_WITH_NAN: Final = np.where(np.arange(8000) == 4000, np.nan, noise()).astype("<f4").tobytes()
_WITH_INF: Final = np.where(np.arange(8000) == 4000, np.inf, noise()).astype("<f4").tobytes()

BAD: Final[dict[str, tuple[bytes, int, str]]] = {
    "an empty body": (b"", 400, "empty_body"),
    "text": (b"please predict this\n" * 10, 400, "not_audio"),
    "JSON": (b'{"file": "x.wav"}', 400, "not_audio"),
    "an MP3 under another name": (b"ID3\x04\0\0\0\0\0\0" + b"\xff\xfb" * 500, 400, "not_audio"),
    "a truncated header": (good_wav()[:30], 400, "truncated_header"),
    "a chunk that ends beyond the file": (
        chunk(b"RIFF", b"WAVE" + chunk(b"LIST", _PCM16, 2**31)),
        400,
        "bad_chunk_size",
    ),
    "no frames": (wav(b""), 422, "no_frames"),
    "too few frames": (wav(_PCM16[:400]), 422, "too_short"),
    "NaN": (wav(_WITH_NAN, tag=FLOAT, bits=32), 422, "non_finite"),
    "infinity": (wav(_WITH_INF, tag=FLOAT, bits=32), 422, "non_finite"),
    "silence": (wav(bytes(16_000)), 422, "silent"),
    "eight channels": (wav(_PCM16, channels=8), 422, "unsupported_channels"),
    "2 kHz": (wav(_PCM16, rate=2000), 422, "unsupported_rate"),
    "ADPCM": (wav(_PCM16, tag=ADPCM, bits=4), 422, "unsupported_encoding"),
    "more seconds than allowed": (good_wav(61), 422, "too_long"),
}
"""What a client may send instead of a clip: the bytes, the status and the code of the answer."""
