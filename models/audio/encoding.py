"""Samples → WAV, or FLAC for what is only to be listened to."""

import io
import struct
from typing import Literal

import numpy as np
import numpy.typing as npt

from models.audio.wav import IEEE_FLOAT, PCM
from models.features import SAMPLE_RATE

Encoding = Literal["float32", "pcm16"]


def encode_wav(
    samples: npt.NDArray[np.float32], rate: int = SAMPLE_RATE, encoding: Encoding = "float32"
) -> bytes:
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


def encode_flac(samples: npt.NDArray[np.float32], rate: int = SAMPLE_RATE) -> bytes:
    """Write a mono FLAC file of 16 bits: about half of the WAV's size, and every browser plays it.

    Args:
        samples: (n,), full scale 1; rounded to the nearest step, and clipped at full scale.
        rate: Hz.

    Raises:
        ValueError: the samples are not one channel of finite numbers.
    """
    import soundfile  # not above: a bare GPU machine may lack it

    if samples.ndim != 1 or not np.isfinite(samples).all():
        raise ValueError(f"samples of shape {samples.shape} must be (n,) and finite")
    steps = np.rint(samples.astype(np.float64) * 32_768).clip(-32_768, 32_767).astype(np.int16)
    with io.BytesIO() as file:
        soundfile.write(file, steps, rate, format="FLAC", subtype="PCM_16")
        return file.getvalue()


def _chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)
