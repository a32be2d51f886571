"""Bytes of a recording → what its speaker said, at 16 kHz."""

import io
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from models.audio.aiff import is_aiff, read_aiff_header
from models.audio.flac import bare_flac, is_flac, read_flac_header
from models.audio.guess import refuse_unknown
from models.audio.heard import heard
from models.audio.layout import BYTES, MAX_SECONDS, Layout, check_layout
from models.audio.problems import AudioError, AudioWarning
from models.audio.wav import is_wav, read_wav_header
from models.features import SAMPLE_RATE, WINDOW

Samples = npt.NDArray[np.float32]
Channel = Literal["left", "right", "loudest"]
SIDES: Final = ("left", "right")

SILENCE: Final = 1e-4
"""Peak to peak: three steps of 16-bit audio, the most that dither makes of silence."""
MAX_PEAK: Final = 8.0
"""Float files may exceed full scale by some decibels; at more than this they are in other units."""
HUM_HZ: Final = 100.0
"""Mains hum and its first harmonic lie below; of a voice only the lowest fundamentals do."""


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
    warnings: tuple[AudioWarning, ...] = ()


def read_header(data: bytes, *, max_seconds: float = MAX_SECONDS) -> Layout:
    """What the header of a WAV, FLAC or AIFF file says; nothing is decoded.

    Raises:
        AudioError: see its codes.
    """
    if is_wav(data):
        layout = read_wav_header(data)
    elif is_flac(data):
        layout = read_flac_header(data)
    elif is_aiff(data):
        layout = read_aiff_header(data)
    else:
        raise refuse_unknown(data)
    check_layout(layout, max_seconds)
    return layout


def decode(
    data: bytes, *, max_seconds: float = MAX_SECONDS, channel: Channel = "loudest"
) -> Waveform:
    """Decode a WAV, FLAC or AIFF file.

    Of two channels one is taken: a mean of two microphones at different distances cancels some
    frequencies and doubles others, and on a telephone line each party has its own.

    Args:
        data: the file.
        max_seconds: longest clip that is accepted.
        channel: which of two; the loudest has the most energy above 100 Hz, so that hum does not
            win. A lone channel is "left" too.

    Raises:
        AudioError: see its codes.
    """
    layout = read_header(data, max_seconds=max_seconds)
    if channel == "right" and layout.channels == 1:
        raise AudioError(
            "no_such_channel",
            "The recording has one channel, and the right one was asked for: ask for left or"
            " loudest.",
        )
    separate = _decode_samples(data, layout)
    chosen = _loudest(separate, layout.rate) if channel == "loudest" else SIDES.index(channel)
    mono = separate[chosen]
    _check_values(mono)
    return Waveform(
        samples=_resample(mono, layout.rate),
        duration_s=layout.duration_s,
        source_rate=layout.rate,
        channels=layout.channels,
        channel=chosen,
        warnings=(*layout.warnings, *_warnings(layout, chosen), *heard(mono, layout.rate)),
    )


def _decode_samples(data: bytes, layout: Layout) -> Samples:
    """The decoder's part: (channels, frames) float32."""
    import soundfile

    if layout.subtype is None:
        body: bytes | memoryview = bare_flac(data, layout)
        bare = {}
    else:
        size = layout.frames * layout.channels * BYTES[layout.subtype]
        body = memoryview(data)[layout.start : layout.start + size]
        bare = {
            "format": "RAW",
            "subtype": layout.subtype,
            "endian": "BIG" if layout.big_endian else "LITTLE",
            "samplerate": layout.rate,
            "channels": layout.channels,
        }
    try:
        with soundfile.SoundFile(io.BytesIO(body), **bare) as file:
            samples: Samples = file.read(layout.frames, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, RuntimeError) as error:
        raise _damaged(str(error)) from None
    if samples.shape != (layout.frames, layout.channels):
        raise _damaged(f"it gives {samples.shape} samples of {(layout.frames, layout.channels)}")
    if not np.isfinite(samples).all():
        raise AudioError("non_finite", "The audio holds NaN or infinite samples. Write it again.")
    return np.ascontiguousarray(samples.T)


def _damaged(reason: str) -> AudioError:
    return AudioError("undecodable", f"The audio is damaged or incomplete: {reason[:200]}.")


def _loudest(separate: Samples, rate: int) -> int:
    """The channel with the most energy above 100 Hz, the first of equal ones."""
    if len(separate) == 1:
        return 0
    return int(np.argmax([_energy_above_hum(one, rate) for one in separate]))


def _energy_above_hum(one: Samples, rate: int) -> float:
    """By Parseval, in half-overlapping Hann windows of a quarter of a second: of a clip as a whole,
    whose ends cut a hum off, some would leak into the band of the voice."""
    length = min(len(one), rate // 4)
    window = np.hanning(length)
    above = int(np.ceil(HUM_HZ * length / rate))
    frames = np.lib.stride_tricks.sliding_window_view(one, length)[:: max(1, length // 2)]
    energy = 0.0
    for frame in frames:
        spectrum = np.fft.rfft(frame * window)[above:]
        energy += float(np.vdot(spectrum, spectrum).real)
    return energy


def _check_values(mono: Samples) -> None:
    low, high = float(mono.min()), float(mono.max())
    if max(-low, high) > MAX_PEAK:
        raise AudioError(
            "out_of_range",
            f"The samples reach {max(-low, high):.6g}; full scale is 1. Divide them by full scale.",
        )
    if high - low < SILENCE:
        raise AudioError("silent", "The clip is silent. Check the microphone or the channel.")


def _resample(mono: Samples, rate: int) -> Samples:
    if rate == SAMPLE_RATE:
        return mono
    import soxr

    resampled: Samples = soxr.resample(mono, rate, SAMPLE_RATE, quality="HQ")
    if len(resampled) < WINDOW:  # a clip of exactly one window may lose a sample to rounding
        resampled = np.pad(resampled, (0, WINDOW - len(resampled)))
    return resampled


def _warnings(layout: Layout, channel: int) -> list[AudioWarning]:
    found = []
    if layout.channels > 1:
        side = SIDES[channel]
        found.append(
            AudioWarning("one_channel_of_two", f"Of two channels the {side} one was taken.", side)
        )
    if layout.rate != SAMPLE_RATE:
        found.append(
            AudioWarning(
                "resampled_from",
                f"The audio was resampled from {layout.rate} Hz to {SAMPLE_RATE} Hz.",
                layout.rate,
            )
        )
    if layout.rate < SAMPLE_RATE:
        highest = layout.rate / 2000
        found.append(
            AudioWarning(
                "band_limited",
                f"At {layout.rate} Hz there is nothing above {highest:g} kHz.",
                highest,
            )
        )
    return found
