"""Bytes → mono float32 at 16 kHz, or a clear reason why not.

What comes from outside is checked before any decoder sees it. The header is read here, against a
list of what is accepted: RIFF/WAVE; PCM of 8, 16, 24 or 32 bits, float of 32 or 64, also inside
WAVE_FORMAT_EXTENSIBLE; one or two channels; 8 to 48 kHz; every chunk inside the file. The decoder
(libsndfile) is then given the bare samples and what they are, so that its own parsers of headers
and of the many optional chunks, where such libraries have their faults, are never reached.

FLAC is accepted for corpora alone, by `decode_recording`: STREAMINFO is checked in the same way,
and the decoder gets nothing else but it and the frames.
"""

import io
import struct
from dataclasses import dataclass
from typing import Final, Literal, NoReturn

import numpy as np
import numpy.typing as npt

from models.features import SAMPLE_RATE, WINDOW

Samples = npt.NDArray[np.float32]
Encoding = Literal["float32", "pcm16"]

MAX_SECONDS: Final = 60.0
MIN_RATE: Final = 8_000
MAX_RATE: Final = 48_000
MAX_CHANNELS: Final = 2
# Recorders and editors write a handful; a walk over more is time given away.
MAX_CHUNKS: Final = 256
# Peak to peak: three steps of 16-bit audio, the most that dither makes of silence.
SILENCE: Final = 1e-4
# Float files may exceed full scale by some decibels; at more than this they are in other units.
MAX_PEAK: Final = 8.0

PCM: Final = 0x0001
IEEE_FLOAT: Final = 0x0003
EXTENSIBLE: Final = 0xFFFE
# Of a format tag inside WAVE_FORMAT_EXTENSIBLE: what follows the tag in the sub-format's GUID.
GUID_TAIL: Final = bytes.fromhex("000000001000800000aa00389b71")
SUBTYPES: Final = {
    (PCM, 8): "PCM_U8",
    (PCM, 16): "PCM_16",
    (PCM, 24): "PCM_24",
    (PCM, 32): "PCM_32",
    (IEEE_FLOAT, 32): "FLOAT",
    (IEEE_FLOAT, 64): "DOUBLE",
}
TAG_NAMES: Final = {
    PCM: "PCM",
    0x0002: "Microsoft ADPCM",
    IEEE_FLOAT: "float",
    0x0006: "A-law",
    0x0007: "mu-law",
    0x0011: "IMA ADPCM",
    0x0031: "GSM 6.10",
    0x0050: "MPEG",
    0x0055: "MP3",
    0x0160: "Windows Media Audio",
    0x0161: "Windows Media Audio",
    EXTENSIBLE: "extensible",
}
# How a file that is no WAV begins → what it is.
MAGIC: Final = {
    b"ID3": "an MP3 file",
    b"\xff\xfb": "an MP3 file",
    b"\xff\xf3": "an MP3 file",
    b"\xff\xf2": "an MP3 file",
    b"\xff\xf1": "an AAC file",
    b"OggS": "an Ogg file",
    b"fLaC": "a FLAC file",
    b"RIFF": "a RIFF file of another kind",
    b"RF64": "a 64-bit WAV file",
    b"RIFX": "a big-endian WAV file",
    b"FORM": "an AIFF file",
    b"\x1aE\xdf\xa3": "a WebM or Matroska file",
    b"PK\x03\x04": "a zip archive",
    b"\x1f\x8b": "a gzip archive",
    b"{": "JSON",
}
SAVE_AS: Final = "Save it as WAV, 16-bit PCM, mono, 16 kHz."


class AudioError(ValueError):
    """Audio that is not accepted. The message names the value and the remedy.

    Attributes:
        code: stable name of the fault:
            ``empty_body``, ``not_wav``, ``truncated_header``, ``bad_header``, ``bad_chunk_size``,
            ``unsupported_encoding``, ``unsupported_channels``, ``unsupported_rate``, ``no_frames``,
            ``too_short``, ``too_long``, ``undecodable``, ``non_finite``, ``out_of_range``,
            ``silent``.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Waveform:
    """Decoded audio.

    Attributes:
        samples: (n,) float32 at 16 kHz, full scale 1, finite, writable.
        duration_s: length of the source, seconds.
        source_rate: sampling rate of the source, Hz.
        channels: of the source, 1 or 2.
        channel: the one that was taken, from 0.
        warnings: what the user should know although the audio was accepted.
    """

    samples: Samples
    duration_s: float
    source_rate: int
    channels: int
    channel: int
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Layout:
    """What an accepted header says.

    Attributes:
        subtype: libsndfile's name of the encoding of bare samples; "" for FLAC.
        rate: Hz.
        channels: 1 or 2.
        frames: samples per channel.
        start: offset of the first sample (WAV) or of the first FLAC frame.
    """

    subtype: str
    rate: int
    channels: int
    frames: int
    start: int


def decode(data: bytes, *, max_seconds: float = MAX_SECONDS) -> Waveform:
    """Decode a WAV file.

    Of two channels the louder one is taken (the greater variance): a mean of two microphones at
    different distances cancels some frequencies and doubles others.

    Args:
        data: the file.
        max_seconds: longest clip that is accepted.

    Raises:
        AudioError: see its codes.
    """
    layout = _read_wav_header(data)
    _check_layout(layout, max_seconds)
    width = _bytes_per_sample(layout.subtype) * layout.channels
    body = memoryview(data)[layout.start : layout.start + layout.frames * width]
    return _finish(_decode_samples(body, layout), layout)


def decode_flac(data: bytes, *, max_seconds: float = MAX_SECONDS) -> Waveform:
    """Decode a FLAC file; otherwise as `decode`."""
    layout = _read_flac_header(data)
    _check_layout(layout, max_seconds)
    # STREAMINFO as the only and last block of metadata, then the frames.
    body = b"fLaC\x80\x00\x00\x22" + data[8:42] + data[layout.start :]
    return _finish(_decode_samples(body, layout), layout)


def decode_recording(data: bytes, *, max_seconds: float = MAX_SECONDS) -> Waveform:
    """Decode a clip of a corpus, WAV or FLAC, as its first bytes say."""
    decoder = decode_flac if data.startswith(b"fLaC") else decode
    return decoder(data, max_seconds=max_seconds)


def encode_wav(samples: Samples, rate: int = SAMPLE_RATE, encoding: Encoding = "float32") -> bytes:
    """Write a mono WAV file: the same samples give the same bytes.

    Args:
        samples: (n,), full scale 1.
        rate: Hz.
        encoding: "float32" keeps the samples as they are; "pcm16" rounds to the nearest step and
            clips what exceeds full scale.

    Raises:
        ValueError: the samples are not one channel of finite numbers.
    """
    if samples.ndim != 1 or not np.isfinite(samples).all():
        raise ValueError(f"samples of shape {samples.shape} must be (n,) and finite")
    if encoding == "pcm16":
        steps = np.rint(samples.astype(np.float64) * 32_768).clip(-32_768, 32_767)
        body = steps.astype("<i2").tobytes()
        fmt = struct.pack("<HHIIHH", PCM, 1, rate, rate * 2, 2, 16)
        fact = b""
    else:
        body = samples.astype("<f4").tobytes()
        fmt = struct.pack("<HHIIHHH", IEEE_FLOAT, 1, rate, rate * 4, 4, 32, 0)
        fact = _chunk(b"fact", struct.pack("<I", len(samples)))
    return _chunk(b"RIFF", b"WAVE" + _chunk(b"fmt ", fmt) + fact + _chunk(b"data", body))


def _chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


# --- WAV: the header ---------------------------------------------------------------------------


def _read_wav_header(data: bytes) -> _Layout:
    _check_riff(data)
    fmt: tuple[str, int, int] | None = None
    body: tuple[int, int] | None = None
    for name, start, size in _chunks(data):
        if name == b"fmt ":
            if fmt is not None or body is not None:
                raise AudioError("bad_header", f"The format is given twice or late. {SAVE_AS}")
            fmt = _read_format(data[start : start + size])
        elif name == b"data":
            if body is not None:
                raise AudioError("bad_header", f"There are two 'data' chunks. {SAVE_AS}")
            body = start, size
    if fmt is None:
        raise AudioError("truncated_header", f"The WAV has no 'fmt ' chunk. {SAVE_AS}")
    if body is None:
        raise AudioError("no_frames", "The WAV has no 'data' chunk: it holds no audio.")
    subtype, channels, rate = fmt
    frames = body[1] // (_bytes_per_sample(subtype) * channels)
    return _Layout(subtype, rate, channels, frames, start=body[0])


def _check_riff(data: bytes) -> None:
    if not data:
        raise AudioError("empty_body", "The file is empty. Send the bytes of a WAV file.")
    if data[:4] != b"RIFF" or (len(data) >= 12 and data[8:12] != b"WAVE"):
        raise AudioError("not_wav", f"This is {_guess(data)}, not a WAV file. {SAVE_AS}")
    if len(data) < 44:
        raise AudioError(
            "truncated_header",
            f"The WAV ends after {len(data)} bytes; its header alone takes 44. Send all of it.",
        )


def _guess(data: bytes) -> str:
    for magic, name in MAGIC.items():
        if data.startswith(magic):
            return name
    if data[4:8] == b"ftyp":
        return "an MP4 file"
    if data[:256].isascii() and data[:256].decode("ascii").replace("\n", " ").isprintable():
        return "text"
    return f"a file that begins with 0x{data[:4].hex()}"


def _chunks(data: bytes) -> list[tuple[bytes, int, int]]:
    """Name, offset and size of each chunk's content, in order; all of it inside the file."""
    end = 8 + _check_size(data, "RIFF", 8, int.from_bytes(data[4:8], "little"), len(data))
    chunks: list[tuple[bytes, int, int]] = []
    at = 12
    while at + 8 <= end:
        name = data[at : at + 4]
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        _check_size(data, repr(name.decode("latin-1")), at + 8, size, end)
        chunks.append((name, at + 8, size))
        if len(chunks) > MAX_CHUNKS:
            raise AudioError("bad_header", f"The WAV has more than {MAX_CHUNKS} chunks. {SAVE_AS}")
        at += 8 + size + size % 2  # a chunk of odd size is followed by a byte of padding
    return chunks


def _check_size(data: bytes, name: str, start: int, size: int, end: int) -> int:
    if start + size > end:
        raise AudioError(
            "bad_chunk_size",
            f"The {name} chunk claims {size} bytes from byte {start} on, but of the file's "
            f"{len(data)} bytes {max(end - start, 0)} are left. Send the complete file. A program "
            "that writes into a pipe does not know the size: let it write into a file.",
        )
    return size


def _read_format(fmt: bytes) -> tuple[str, int, int]:
    """libsndfile's name of the encoding, channels and rate."""
    if len(fmt) < 16:
        raise AudioError("truncated_header", f"The 'fmt ' chunk has {len(fmt)} bytes, not 16.")
    tag, channels, rate, _, block, bits = struct.unpack_from("<HHIIHH", fmt)
    if tag == EXTENSIBLE:
        tag, bits = _read_extension(fmt, bits)
    subtype = SUBTYPES.get((tag, bits))
    if subtype is None:
        raise AudioError(
            "unsupported_encoding",
            f"The audio is {bits}-bit {TAG_NAMES.get(tag, f'format 0x{tag:04x}')}. Accepted are "
            f"PCM of 8, 16, 24, 32 and float of 32, 64 bits. {SAVE_AS}",
        )
    _check_channels(channels)
    if block != channels * bits // 8:
        raise AudioError(
            "bad_header",
            f"A frame of {channels} x {bits} bits takes {channels * bits // 8} bytes, "
            f"the header says {block}. {SAVE_AS}",
        )
    return subtype, channels, rate


def _read_extension(fmt: bytes, bits: int) -> tuple[int, int]:
    """The tag inside WAVE_FORMAT_EXTENSIBLE, and the bits of its container."""
    if len(fmt) < 40:
        raise AudioError(
            "truncated_header", f"The extensible 'fmt ' chunk has {len(fmt)} bytes, not 40."
        )
    _, valid, _, tag = struct.unpack_from("<HHIH", fmt, 16)
    if fmt[26:40] != GUID_TAIL or valid > bits:
        raise AudioError(
            "unsupported_encoding",
            f"The extensible sub-format {fmt[24:40].hex()} with {valid} of {bits} bits is neither "
            f"PCM nor float. {SAVE_AS}",
        )
    return int(tag), bits


def _bytes_per_sample(subtype: str) -> int:
    return next(bits for (_, bits), name in SUBTYPES.items() if name == subtype) // 8


# --- FLAC: STREAMINFO (RFC 9639, Sec. 8.2) ------------------------------------------------------


def _read_flac_header(data: bytes) -> _Layout:
    if not data:
        raise AudioError("empty_body", "The file is empty.")
    if not data.startswith(b"fLaC"):
        raise AudioError("not_wav", f"This is {_guess(data)}, neither WAV nor FLAC. {SAVE_AS}")
    if len(data) < 42:
        raise AudioError(
            "truncated_header", f"The FLAC ends after {len(data)} bytes, in its header."
        )
    if data[4] & 0x7F != 0 or int.from_bytes(data[5:8], "big") != 34:
        raise AudioError("bad_header", f"The FLAC does not begin with STREAMINFO. {SAVE_AS}")
    packed = int.from_bytes(data[18:26], "big")  # rate 20, channels-1 3, bits-1 5, frames 36
    rate, channels = packed >> 44, (packed >> 41 & 0x7) + 1
    bits, frames = (packed >> 36 & 0x1F) + 1, packed & 0xFFFFFFFFF
    if bits not in {8, 16, 24}:
        raise AudioError("unsupported_encoding", f"The FLAC has {bits} bits a sample. {SAVE_AS}")
    _check_channels(channels)
    if frames == 0:  # "unknown" (RFC 9639, 8.2): nothing would bound what is decoded
        raise AudioError(
            "no_frames",
            "The FLAC does not say how long it is, as after an encoder that streams. Encode it"
            " again from a file.",
        )
    return _Layout("", rate, channels, frames, start=_first_flac_frame(data))


def _first_flac_frame(data: bytes) -> int:
    """The offset after the last block of metadata."""
    at = 4
    for _ in range(MAX_CHUNKS):
        if at + 4 > len(data):
            raise AudioError("truncated_header", f"The FLAC ends in its header, at byte {at}.")
        last, size = data[at] >> 7, int.from_bytes(data[at + 1 : at + 4], "big")
        _check_size(data, "FLAC metadata", at + 4, size, len(data))
        at += 4 + size
        if last:
            return at
    raise AudioError("bad_header", f"The FLAC has more than {MAX_CHUNKS} blocks of metadata.")


# --- Both ---------------------------------------------------------------------------------------


def _check_channels(channels: int) -> None:
    if not 1 <= channels <= MAX_CHANNELS:
        raise AudioError(
            "unsupported_channels",
            f"The audio has {channels} channels; 1 or 2 are accepted. Send the speaker's alone.",
        )


def _check_layout(layout: _Layout, max_seconds: float) -> None:
    if not MIN_RATE <= layout.rate <= MAX_RATE:
        raise AudioError(
            "unsupported_rate",
            f"The sampling rate is {layout.rate} Hz; {MIN_RATE} to {MAX_RATE} Hz are accepted. "
            "Resample a higher one; a lower one has lost too much of the voice.",
        )
    if layout.frames == 0:
        raise AudioError("no_frames", "The file holds no audio: its length is 0 samples.")
    if layout.frames * SAMPLE_RATE < WINDOW * layout.rate:
        raise AudioError(
            "too_short",
            f"The clip lasts {1000 * layout.frames / layout.rate:.1f} ms; at least "
            f"{1000 * WINDOW / SAMPLE_RATE:.0f} ms, one analysis window, are needed.",
        )
    if layout.frames > int(max_seconds * layout.rate):
        raise AudioError(
            "too_long",
            f"The clip lasts {layout.frames / layout.rate:.1f} s; at most {max_seconds:g} s are "
            "accepted. Cut it into shorter ones.",
        )


def _decode_samples(body: bytes | memoryview, layout: _Layout) -> Samples:
    """The decoder's part: (frames, channels) float32."""
    import soundfile

    bare = {
        "format": "RAW",
        "subtype": layout.subtype,
        "endian": "LITTLE",
        "samplerate": layout.rate,
        "channels": layout.channels,
    }
    try:
        with soundfile.SoundFile(io.BytesIO(body), **(bare if layout.subtype else {})) as file:
            samples: Samples = file.read(layout.frames, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, RuntimeError) as error:
        _refuse_stream(str(error))
    if samples.shape != (layout.frames, layout.channels):
        _refuse_stream(f"it gives {samples.shape} samples of {(layout.frames, layout.channels)}")
    return samples


def _refuse_stream(reason: str) -> NoReturn:
    raise AudioError(
        "undecodable", f"The audio is damaged or incomplete: {reason[:200]}."
    ) from None


def _finish(samples: Samples, layout: _Layout) -> Waveform:
    """Take the louder channel, look at the values, resample."""
    if not np.isfinite(samples).all():
        raise AudioError("non_finite", "The audio holds NaN or infinite samples. Write it again.")
    separate = np.ascontiguousarray(samples.T)
    channel = 0
    if layout.channels > 1:  # in float64, where the square of no sample overflows
        channel = int(np.argmax([np.var(one, dtype=np.float64) for one in separate]))
    mono = separate[channel]
    low, high = float(mono.min()), float(mono.max())
    if max(-low, high) > MAX_PEAK:
        raise AudioError(
            "out_of_range",
            f"The samples reach {max(-low, high):.6g}; full scale is 1. Divide them by full scale.",
        )
    if high - low < SILENCE:
        raise AudioError("silent", "The clip is silent. Check the microphone or the channel.")
    return Waveform(
        samples=_resample(mono, layout.rate),
        duration_s=layout.frames / layout.rate,
        source_rate=layout.rate,
        channels=layout.channels,
        channel=channel,
        warnings=_warnings(layout, channel),
    )


def _resample(mono: Samples, rate: int) -> Samples:
    if rate == SAMPLE_RATE:
        return mono
    import soxr

    resampled: Samples = soxr.resample(mono, rate, SAMPLE_RATE, quality="HQ")
    if len(resampled) < WINDOW:  # a clip of exactly one window may lose a sample to rounding
        resampled = np.pad(resampled, (0, WINDOW - len(resampled)))
    return resampled


def _warnings(layout: _Layout, channel: int) -> tuple[str, ...]:
    warnings: list[str] = []
    if layout.channels > 1:
        warnings.append(f"Of two channels the louder one was taken: {('left', 'right')[channel]}.")
    if layout.rate < SAMPLE_RATE:
        warnings.append(f"At {layout.rate} Hz there is nothing above {layout.rate / 2000:g} kHz.")
    return tuple(warnings)
