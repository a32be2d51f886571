"""Recordings with spoilt headers, sizes, tags and encodings: each is decoded, or refused in words.

Drawn from a seed: a good file of each kind, then a few of the changes that broken writers, cut
lines and hostile hands make. Times are of the processor, so that a busy machine counts none.
"""

import resource
import struct
import time
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from models.audio import AudioError, decode, encode_wav
from models.audio.wav import GUID_TAIL

FILES: Final = 100_000
SEED: Final = 0
WARM_UP: Final = 2_000
"""Of these, what the libraries keep is not counted as growth."""
INTERESTING: Final = (0, 1, 2, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
SAFE_CODES: Final = frozenset(
    (
        *("empty_body", "not_audio", "truncated_header", "bad_header", "bad_chunk_size"),
        *("unsupported_encoding", "unsupported_channels", "unsupported_rate", "no_such_channel"),
        *("no_frames", "too_short", "too_long", "undecodable", "non_finite", "out_of_range"),
        "silent",
    )
)

Rng = np.random.Generator


def measure(files: int = FILES) -> list[dict[str, Any]]:
    """Anything but an answer or a refusal, the memory that it takes, and how long one takes."""
    rng = np.random.default_rng(SEED)
    seeds = originals()
    answered = refused = other = 0
    seconds = np.empty(files)
    before = 0
    for number in range(files):
        if number == min(WARM_UP, files // 2):
            before = peak_bytes()
        data = mutated(seeds[int(rng.integers(len(seeds)))], rng)
        began = time.thread_time()
        try:
            decode(data)
            answered += 1
        except AudioError as error:
            refused += error.code in SAFE_CODES
            other += error.code not in SAFE_CODES
        except Exception:  # noqa: BLE001  (this is what is counted)
            other += 1
        seconds[number] = time.thread_time() - began
    growth = (peak_bytes() - before) / 2**20
    p99 = 1000 * float(np.percentile(seconds, 99))
    note = f"of {files}: {answered} answered, {refused} refused"
    return [
        {"name": "other exceptions", "value": other, "bar": 0.5, "better": "lower", "note": note},
        {"name": "memory's growth, MiB", "value": growth, "bar": 64.0, "better": "lower"},
        {"name": "p99 of a file, ms", "value": p99, "bar": 5.0, "better": "lower"},
    ]


def peak_bytes() -> int:
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def originals() -> list[bytes]:
    """A good file of each kind, .4 s long."""
    voice = np.asarray(np.random.default_rng(1).standard_normal(6_400) / 10, np.float32)
    steps = (voice * 32_767).astype("<i2")
    companded = steps.astype(np.uint16).astype(np.uint8)
    extension = struct.pack("<HHIH", 22, 16, 0, 1) + GUID_TAIL
    bare = [
        (1, 1, 16_000, 8, companded.tobytes(), b""),
        (1, 1, 16_000, 16, steps.tobytes(), b""),
        (1, 2, 44_100, 16, np.repeat(steps, 2).tobytes(), b""),
        (1, 1, 48_000, 24, bytes(3 * 6_400 - 3) + b"\x10\x20\x30", b""),
        (1, 1, 96_000, 32, (steps.astype("<i4") << 16).tobytes(), b""),
        (3, 1, 16_000, 64, voice.astype("<f8").tobytes(), b""),
        (6, 1, 8_000, 8, companded.tobytes(), b""),
        (7, 2, 8_000, 8, companded.tobytes(), b""),
        (0xFFFE, 1, 16_000, 16, steps.tobytes(), extension),
    ]
    return [encode_wav(voice), *(wav(*one) for one in bare)]


def wav(tag: int, channels: int, rate: int, bits: int, body: bytes, extension: bytes) -> bytes:
    """A WAV with a chunk before its samples and a tag behind them."""
    block = channels * bits // 8
    fmt = struct.pack("<HHIIHH", tag, channels, rate, rate * block, block, bits) + extension
    chunks = chunk(b"fmt ", fmt), chunk(b"fact", bytes(4)), chunk(b"data", body)
    return chunk(b"RIFF", b"WAVE" + b"".join(chunks) + chunk(b"LIST", b"INFOISFTserval"))


def chunk(name: bytes, body: bytes) -> bytes:
    """A RIFF chunk."""
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def mutated(data: bytes, rng: Rng) -> bytes:
    """The file after one to four changes."""
    for _ in range(int(rng.integers(1, 5))):
        data = CHANGES[int(rng.integers(len(CHANGES)))](data, rng) or b"\0"
    return data


def _byte(data: bytes, rng: Rng) -> bytes:
    at = int(rng.integers(min(len(data), 120)))
    return data[:at] + bytes([int(rng.integers(256))]) + data[at + 1 :]


def _size(data: bytes, rng: Rng) -> bytes:
    """Of a chunk: something that writers leave behind, or a little off."""
    names = [data.find(name) for name in (b"RIFF", b"fmt ", b"fact", b"data", b"LIST")]
    places = [at + 4 for at in names if at >= 0]
    if not places:
        return data
    at = places[int(rng.integers(len(places)))]
    old = int.from_bytes(data[at : at + 4], "little")
    choices = (*INTERESTING, old + 1, max(0, old - 1), old + 8, old * 2)
    new = choices[int(rng.integers(len(choices)))] & 0xFFFFFFFF
    return data[:at] + new.to_bytes(4, "little") + data[at + 4 :]


def _encoding(data: bytes, rng: Rng) -> bytes:
    """A field of the format: tag, channels, rate, block or bits."""
    at = data.find(b"fmt ")
    if at < 0:
        return data
    place, width = ((8, 2), (10, 2), (12, 4), (20, 2), (22, 2))[int(rng.integers(5))]
    values = (*INTERESTING, 3, 6, 7, 8, 16, 24, 32, 64, 0xFFFE, 8_000, 192_000)
    value = values[int(rng.integers(len(values)))] & ((1 << 8 * width) - 1)
    start = at + place
    return data[:start] + value.to_bytes(width, "little") + data[start + width :]


def _cut(data: bytes, rng: Rng) -> bytes:
    return data[: int(rng.integers(len(data) + 1))]


def _tag_before(data: bytes, rng: Rng) -> bytes:
    size = int(rng.integers(200))
    claimed = bytes([0, 0, size >> 7, size & 0x7F])
    return b"ID3\x04\x00\x00" + claimed + bytes(size if rng.random() < 0.8 else 5) + data


def _behind(data: bytes, rng: Rng) -> bytes:
    return b"".join((data, rng.bytes(int(rng.integers(40)))))


def _inserted(data: bytes, rng: Rng) -> bytes:
    at = int(rng.integers(min(len(data), 100) + 1))
    return b"".join((data[:at], rng.bytes(int(rng.integers(1, 20))), data[at:]))


def _samples(data: bytes, rng: Rng) -> bytes:
    """NaN, infinity and full scale among the samples."""
    at = int(rng.integers(len(data)))
    spoilt = (b"\xff" * 8, b"\x00\x00\x80\x7f", b"\x00\x00\xc0\x7f")[int(rng.integers(3))]
    return data[:at] + spoilt + data[at + len(spoilt) :]


CHANGES: Final[tuple[Callable[[bytes, Rng], bytes], ...]] = (
    _byte,
    _size,
    _encoding,
    _cut,
    _tag_before,
    _behind,
    _inserted,
    _samples,
)
