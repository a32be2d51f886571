"""AIFF and AIFF-C headers (Apple, Audio Interchange File Format 1.3, 1989; AIFF-C draft, 1991)."""

import struct
from typing import Final, NamedTuple

from models.audio.layout import BYTES, MAX_CHUNKS, Layout, Subtype, check_channels
from models.audio.problems import SAVE_AS, AudioError, AudioWarning

INTEGERS: Final[dict[int, Subtype]] = {8: "PCM_S8", 16: "PCM_16", 24: "PCM_24", 32: "PCM_32"}
COMPRESSIONS: Final[dict[bytes, Subtype]] = {
    b"fl32": "FLOAT",
    b"FL32": "FLOAT",
    b"fl64": "DOUBLE",
    b"FL64": "DOUBLE",
    b"ulaw": "ULAW",
    b"ULAW": "ULAW",
    b"alaw": "ALAW",
    b"ALAW": "ALAW",
}


class Common(NamedTuple):
    """What the chunk COMM says."""

    subtype: Subtype
    channels: int
    rate: int
    frames: int
    big_endian: bool


def is_aiff(data: bytes) -> bool:
    """Whether a file begins as AIFF does."""
    return data.startswith(b"FORM") and data[8:12] in {b"AIFF", b"AIFC"}


def read_aiff_header(data: bytes) -> Layout:
    """What the header of a file says for which `is_aiff` is true.

    Raises:
        AudioError: ``truncated_header``, ``bad_header``, ``bad_chunk_size``,
            ``unsupported_encoding``, ``unsupported_channels`` or ``no_frames``.
    """
    common: Common | None = None
    samples: tuple[int, int] | None = None
    at = 12
    for _ in range(MAX_CHUNKS):
        if at + 8 > len(data) or (common and samples):
            break
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "big")
        if name == b"COMM":
            common = _read_common(data[at + 8 : at + 8 + size], compressed=data[8:12] == b"AIFC")
        elif name == b"SSND" and at + 16 <= len(data):
            start = at + 16 + int.from_bytes(data[at + 8 : at + 12], "big")
            samples = start, max(0, at + 8 + size - start)
        at += 8 + size + size % 2
    if common is None:
        raise AudioError("truncated_header", f"The AIFF has no 'COMM' chunk. {SAVE_AS}")
    if samples is None:
        raise AudioError("no_frames", "The AIFF has no 'SSND' chunk: it holds no audio.")
    return _layout(common, *samples, max(0, len(data) - samples[0]))


def _layout(common: Common, start: int, claimed: int, there: int) -> Layout:
    width = BYTES[common.subtype] * common.channels
    frames = min(common.frames, min(claimed, there) // width)
    warnings: tuple[AudioWarning, ...] = ()
    if frames < common.frames:
        seconds = (common.frames - frames) / max(common.rate, 1)
        warnings = (
            AudioWarning(
                "truncated",
                f"The file ends {seconds:.3g} s before the end that its header claims: what is"
                " there was taken.",
                seconds,
            ),
        )
    return Layout(
        common.subtype, common.rate, common.channels, frames, start, common.big_endian, warnings
    )


def _read_common(chunk: bytes, *, compressed: bool) -> Common:
    if len(chunk) < (22 if compressed else 18):
        raise AudioError("truncated_header", f"The 'COMM' chunk has {len(chunk)} bytes.")
    channels, frames, bits = struct.unpack_from(">HIH", chunk)
    check_channels(channels)
    kind = chunk[18:22] if compressed else b"NONE"
    subtype = INTEGERS.get(bits) if kind in {b"NONE", b"sowt"} else COMPRESSIONS.get(kind)
    if subtype is None:
        raise AudioError(
            "unsupported_encoding",
            f"The AIFF is {bits}-bit {kind.decode('latin-1')!r}. {SAVE_AS}",
        )
    return Common(subtype, channels, _rate(chunk[8:18]), frames, big_endian=kind != b"sowt")


def _rate(extended: bytes) -> int:
    """Of an 80-bit float: sign and exponent in two bytes, the mantissa, 1.63, in eight."""
    exponent = int.from_bytes(extended[:2], "big") - 16_383
    mantissa = int.from_bytes(extended[2:], "big")
    if not 0 <= exponent < 32:  # also a negative one: its sign bit makes the exponent large
        raise AudioError("bad_header", f"The AIFF's sampling rate is 2^{exponent} Hz. {SAVE_AS}")
    return mantissa >> (63 - exponent)
