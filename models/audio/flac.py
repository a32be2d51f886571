"""FLAC headers: STREAMINFO (RFC 9639, Sec. 8.2)."""

from models.audio.layout import MAX_CHUNKS, Layout, check_channels
from models.audio.problems import SAVE_AS, AudioError


def is_flac(data: bytes) -> bool:
    """Whether a file begins as FLAC does."""
    return data.startswith(b"fLaC")


def read_flac_header(data: bytes) -> Layout:
    """What STREAMINFO says. What the frames hold beyond that is never decoded.

    Raises:
        AudioError: ``truncated_header``, ``bad_header``, ``bad_chunk_size``,
            ``unsupported_encoding``, ``unsupported_channels`` or ``no_frames``.
    """
    if len(data) < 42:
        raise AudioError(
            "truncated_header",
            f"The FLAC ends after {len(data)} bytes, in its header. Send all of it.",
        )
    if data[4] & 0x7F != 0 or int.from_bytes(data[5:8], "big") != 34:
        raise AudioError("bad_header", f"The FLAC does not begin with STREAMINFO. {SAVE_AS}")
    packed = int.from_bytes(data[18:26], "big")  # rate 20, channels-1 3, bits-1 5, frames 36
    rate, channels = packed >> 44, (packed >> 41 & 0x7) + 1
    bits, frames = (packed >> 36 & 0x1F) + 1, packed & 0xFFFFFFFFF
    if bits not in {8, 16, 24}:
        raise AudioError("unsupported_encoding", f"The FLAC has {bits} bits a sample. {SAVE_AS}")
    check_channels(channels)
    if frames == 0:  # "unknown" (RFC 9639, 8.2): nothing would bound what is decoded
        raise AudioError(
            "no_frames",
            "The FLAC does not say how long it is, as after an encoder that streams. Encode it"
            " again from a file.",
        )
    return Layout(None, rate, channels, frames, start=_first_frame(data))


def bare_flac(data: bytes, layout: Layout) -> bytes:
    """STREAMINFO as the only and last block of metadata, then the frames."""
    return b"fLaC\x80\x00\x00\x22" + data[8:42] + data[layout.start :]


def _first_frame(data: bytes) -> int:
    """The offset after the last block of metadata."""
    at = 4
    for _ in range(MAX_CHUNKS):
        if at + 4 > len(data):
            raise AudioError("truncated_header", f"The FLAC ends in its header, at byte {at}.")
        last, size = data[at] >> 7, int.from_bytes(data[at + 1 : at + 4], "big")
        if at + 4 + size > len(data):
            raise AudioError(
                "bad_chunk_size",
                f"A block of the FLAC's metadata claims {size} bytes from byte {at + 4} on, but of"
                f" the file's {len(data)} bytes {len(data) - at - 4} are left. Send the complete"
                " file.",
            )
        at += 4 + size
        if last:
            return at
    raise AudioError("bad_header", f"The FLAC has more than {MAX_CHUNKS} blocks of metadata.")
