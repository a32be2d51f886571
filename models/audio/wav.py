"""WAV headers: RIFF and RF64 (EBU Tech 3306), and Sony's Wave64.

Accepted are PCM of 8 to 32 bits, float of 32 or 64, µ-law and A-law, also inside
WAVE_FORMAT_EXTENSIBLE; one or two channels; 4 to 192 kHz. A header describes what follows it, and
writers that stream, or are killed, leave sizes behind that say nothing: where a size is 0, a mark
of streams or beyond the file, what is there is taken, as whole frames, and said.
"""

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from models.audio.layout import BYTES, MAX_CHUNKS, Layout, Subtype, check_channels
from models.audio.problems import SAVE_AS, AudioError, AudioWarning

PCM: Final = 0x0001
IEEE_FLOAT: Final = 0x0003
A_LAW: Final = 0x0006
MU_LAW: Final = 0x0007
EXTENSIBLE: Final = 0xFFFE
GUID_TAIL: Final = bytes.fromhex("000000001000800000aa00389b71")
"""Of a format tag inside WAVE_FORMAT_EXTENSIBLE: what follows the tag in the sub-format's GUID."""
SUBTYPES: Final[dict[tuple[int, int], Subtype]] = {
    (PCM, 8): "PCM_U8",
    (PCM, 16): "PCM_16",
    (PCM, 24): "PCM_24",
    (PCM, 32): "PCM_32",
    (IEEE_FLOAT, 32): "FLOAT",
    (IEEE_FLOAT, 64): "DOUBLE",
    (A_LAW, 8): "ALAW",
    (MU_LAW, 8): "ULAW",
}
TAG_NAMES: Final = {
    0x0002: "Microsoft ADPCM",
    0x0011: "IMA ADPCM",
    0x0031: "GSM 6.10",
    0x0045: "G.726 ADPCM",
    0x0050: "MPEG",
    0x0055: "MP3",
    0x0160: "Windows Media Audio",
    0x0161: "Windows Media Audio",
}
STREAMED: Final = frozenset({0, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF})
"""Sizes of those who do not know the size."""
W64_RIFF: Final = bytes.fromhex("726966662e91cf11a5d628db04c10000")
W64_WAVE: Final = bytes.fromhex("77617665f3acd3118cd100c04f8edb8a")


class Chunk(NamedTuple):
    """Name, offset of the content, and the size that it claims."""

    name: bytes
    start: int
    size: int


class Format(NamedTuple):
    """What the format chunk says."""

    subtype: Subtype
    channels: int
    rate: int


def is_wav(data: bytes) -> bool:
    """Whether a file begins as a WAV does, perhaps behind a tag that somebody has put before it."""
    at = _after_id3(data)
    return (
        data[at : at + 4] in {b"RIFF", b"RF64", b"BW64"}
        and b"WAVE".startswith(data[at + 8 : at + 12])
    ) or data.startswith(W64_RIFF)


def read_wav_header(data: bytes) -> Layout:
    """What the header of a file says for which `is_wav` is true.

    Raises:
        AudioError: ``truncated_header``, ``bad_header``, ``bad_chunk_size``,
            ``unsupported_encoding``, ``unsupported_channels`` or ``no_frames``.
    """
    w64 = data.startswith(W64_RIFF)
    at = _after_id3(data)
    if len(data) - at < 44:
        raise AudioError(
            "truncated_header",
            f"The WAV ends after {len(data) - at} bytes; its header alone takes 44. Send all of"
            " it.",
        )
    described: Format | None = None
    long_size: int | None = None
    for chunk in _w64_chunks(data) if w64 else _chunks(data, at + 12):
        if chunk.name == b"ds64":
            long_size = _long_size(data, chunk)
        elif chunk.name == b"fmt ":
            if described is not None:
                raise AudioError("bad_header", f"The format is given twice. {SAVE_AS}")
            described = _read_format(data[chunk.start : chunk.start + chunk.size])
        elif chunk.name == b"data":
            if described is None:
                raise AudioError(
                    "bad_header", f"The WAV has no 'fmt ' chunk before its samples. {SAVE_AS}"
                )
            size = chunk.size
            if size == 0xFFFFFFFF and long_size is not None:
                size = long_size
            samples = chunk._replace(size=size)
            return _layout(data, described, samples, riff=None if w64 else at)
    missing = "fmt " if described is None else "data"
    code = "truncated_header" if described is None else "no_frames"
    raise AudioError(code, f"The WAV has no '{missing}' chunk: nothing says what it holds.")


def _after_id3(data: bytes) -> int:
    """The offset of RIFF: 0, or after an ID3v2 tag, whose size has seven bits a byte."""
    if not data.startswith(b"ID3") or len(data) < 10:
        return 0
    size = 0
    for byte in data[6:10]:
        size = size << 7 | byte & 0x7F
    at = 10 + size
    return at if data[at : at + 4] in {b"RIFF", b"RF64", b"BW64"} else 0


def _chunks(data: bytes, at: int) -> Iterator[Chunk]:
    """The chunks up to the samples, which are the last thing that is looked at."""
    for _ in range(MAX_CHUNKS):
        if at + 8 > len(data):
            return
        chunk = Chunk(data[at : at + 4], at + 8, int.from_bytes(data[at + 4 : at + 8], "little"))
        yield chunk
        if chunk.start + chunk.size > len(data):
            name = chunk.name.decode("latin-1")
            raise AudioError(
                "bad_chunk_size",
                f"The {name!r} chunk claims {chunk.size} bytes from byte {chunk.start} on, but of"
                f" the file's {len(data)} bytes {len(data) - chunk.start} are left, and the samples"
                " have not come yet. Send the complete file.",
            )
        at = chunk.start + chunk.size + chunk.size % 2  # an odd size is followed by a padding byte
    raise AudioError("bad_header", f"The WAV has more than {MAX_CHUNKS} chunks. {SAVE_AS}")


def _w64_chunks(data: bytes) -> Iterator[Chunk]:
    """Names of 16 bytes, sizes of 8 that count both, all aligned to 8 bytes."""
    if data[24:40] != W64_WAVE:
        raise AudioError("bad_header", f"This Wave64 file is not of the kind WAVE. {SAVE_AS}")
    at = 40
    for _ in range(MAX_CHUNKS):
        if at + 24 > len(data):
            return
        size = int.from_bytes(data[at + 16 : at + 24], "little")
        if size < 24:
            raise AudioError("bad_chunk_size", f"A chunk of Wave64 claims {size} bytes of 24.")
        yield Chunk(data[at : at + 4], at + 24, size - 24)
        at += size + -size % 8
    raise AudioError("bad_header", f"The WAV has more than {MAX_CHUNKS} chunks. {SAVE_AS}")


def _long_size(data: bytes, chunk: Chunk) -> int:
    """Of the samples, in bytes, as RF64 keeps it."""
    if chunk.size < 24 or chunk.start + 24 > len(data):
        raise AudioError("truncated_header", "The 'ds64' chunk of the RF64 file is cut off.")
    return int.from_bytes(data[chunk.start + 8 : chunk.start + 16], "little")


def _layout(data: bytes, described: Format, chunk: Chunk, *, riff: int | None) -> Layout:
    """Bounded by what the file has.

    Args:
        riff: offset of the RIFF chunk, None where there is none.
    """
    there = len(data) - chunk.start
    width = BYTES[described.subtype] * described.channels
    streamed = chunk.size in STREAMED and not _ends_in_chunks(data, chunk)
    frames = (there if streamed else min(chunk.size, there)) // width
    warnings: list[AudioWarning] = []
    if streamed:
        seconds = frames / max(described.rate, 1)
        warnings.append(
            AudioWarning(
                "unknown_length",
                f"The header does not say how long the audio is: all that is there was taken,"
                f" {seconds:.2f} s.",
                seconds,
            )
        )
    elif chunk.size // width > frames:
        seconds = (chunk.size // width - frames) / max(described.rate, 1)
        warnings.append(
            AudioWarning(
                "truncated",
                f"The file ends {seconds:.3g} s before the end that its header claims: what is"
                " there was taken.",
                seconds,
            )
        )
    elif riff is not None:
        warnings += _about_riff(data, chunk, riff)
    return Layout(
        described.subtype,
        described.rate,
        described.channels,
        frames,
        chunk.start,
        warnings=tuple(warnings),
    )


def _ends_in_chunks(data: bytes, chunk: Chunk) -> bool:
    """Whether chunk after chunk leads from here exactly to the end of the file: then the samples
    are where the header says, also if it says that there are none."""
    at = chunk.start + chunk.size
    for _ in range(MAX_CHUNKS):
        at += at % 2
        if at >= len(data):
            return at - len(data) <= 1
        if at + 8 > len(data):
            return False
        at += 8 + int.from_bytes(data[at + 4 : at + 8], "little")
    return False


def _about_riff(data: bytes, chunk: Chunk, riff: int) -> list[AudioWarning]:
    """A RIFF chunk that does not reach over the samples, or reaches beyond the file."""
    size = int.from_bytes(data[riff + 4 : riff + 8], "little")
    end = riff + 8 + size
    if size in STREAMED or chunk.start + chunk.size <= end <= len(data) + 1:
        return []
    off = end - len(data)
    return [
        AudioWarning(
            "header_size", f"The RIFF header is {abs(off)} bytes off. The samples are whole.", off
        )
    ]


def _read_format(fmt: bytes) -> Format:
    if len(fmt) < 16:
        raise AudioError("truncated_header", f"The 'fmt ' chunk has {len(fmt)} bytes, not 16.")
    tag, channels, rate, _, block, bits = struct.unpack_from("<HHIIHH", fmt)
    if tag == EXTENSIBLE:
        tag = _read_extension(fmt, bits)
    # PCM of 20 bits lies in the upper ones of 24.
    container = bits + -bits % 8 if tag == PCM and bits > 8 else bits
    subtype = SUBTYPES.get((tag, container))
    if subtype is None:
        raise AudioError("unsupported_encoding", f"The audio is {_encoding(tag, bits)}. {SAVE_AS}")
    check_channels(channels)
    if block not in {0, channels * container // 8}:
        raise AudioError(
            "bad_header",
            f"A frame of {channels} x {bits} bits takes {channels * container // 8} bytes, "
            f"the header says {block}. {SAVE_AS}",
        )
    return Format(subtype, channels, rate)


def _encoding(tag: int, bits: int) -> str:
    if tag in TAG_NAMES:
        return TAG_NAMES[tag]
    kind = {PCM: "PCM", IEEE_FLOAT: "float", A_LAW: "A-law", MU_LAW: "µ-law"}.get(tag)
    if kind is None:
        return f"of the unknown format 0x{tag:04x}"
    return (
        f"{bits}-bit {kind}; PCM of 8 to 32 bits, float of 32 or 64, µ-law and A-law of 8 are read"
    )


def _read_extension(fmt: bytes, bits: int) -> int:
    """The tag inside WAVE_FORMAT_EXTENSIBLE."""
    if len(fmt) < 40:
        raise AudioError(
            "truncated_header", f"The extensible 'fmt ' chunk has {len(fmt)} bytes, not 40."
        )
    _, valid, _, tag = struct.unpack_from("<HHIH", fmt, 16)
    if fmt[26:40] != GUID_TAIL or valid > bits:
        raise AudioError(
            "unsupported_encoding",
            f"The extensible sub-format {fmt[24:40].hex()} with {valid} of {bits} bits is none of"
            f" PCM, float, µ-law and A-law. {SAVE_AS}",
        )
    return int(tag)
