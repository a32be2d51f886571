"""Files of audio, written byte by byte or by libsndfile, and what is wrong with one."""

import io
import struct

import numpy as np
import numpy.typing as npt
import pytest
import soundfile

from models.audio import AudioError, decode
from models.audio.wav import GUID_TAIL

Samples = npt.NDArray[np.float32]

GUIDS = {tag: bytes([tag, 0]) + GUID_TAIL for tag in (1, 3, 6, 7)}


def tone(seconds: float = 0.5, rate: int = 16_000, hz: float = 440.0) -> Samples:
    time = np.arange(round(seconds * rate)) / rate
    return (0.5 * np.sin(2 * np.pi * hz * time)).astype(np.float32)


def chunk(name: bytes, body: bytes, size: int | None = None) -> bytes:
    claimed = len(body) if size is None else size
    return name + struct.pack("<I", claimed) + body + b"\0" * (len(body) % 2)


def wave_format(
    tag: int = 1, channels: int = 1, rate: int = 16_000, bits: int = 16, block: int | None = None
) -> bytes:
    frame = channels * bits // 8 if block is None else block
    return struct.pack("<HHIIHH", tag, channels, rate, rate * frame, frame, bits)


def riff(*chunks: bytes, size: int | None = None) -> bytes:
    return chunk(b"RIFF", b"WAVE" + b"".join(chunks), size)


def pcm16(samples: Samples) -> bytes:
    return (samples * 32_767).astype("<i2").tobytes()


def wav(samples: Samples | None = None, **format_fields: int) -> bytes:
    """A 16-bit WAV whose format chunk may claim something else."""
    body = pcm16(tone() if samples is None else samples)
    return riff(chunk(b"fmt ", wave_format(**format_fields)), chunk(b"data", body))


def written(
    samples: Samples | npt.NDArray[np.int16] | npt.NDArray[np.float64],
    rate: int = 16_000,
    subtype: str = "PCM_16",
    container: str = "WAV",
    endian: str = "FILE",
) -> bytes:
    """The same, by libsndfile."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, subtype, endian, container)
    return file.getvalue()


def fault(data: bytes, max_seconds: float = 60.0) -> AudioError:
    with pytest.raises(AudioError) as caught:
        decode(data, max_seconds=max_seconds)
    return caught.value


def codes(data: bytes) -> list[str]:
    """Of the warnings, without those that the sampling rate alone gives."""
    rate = {"resampled_from", "band_limited"}
    return [one.code for one in decode(data).warnings if one.code not in rate]
