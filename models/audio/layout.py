"""What an accepted header says, of whichever container."""

from dataclasses import dataclass
from typing import Final, Literal

from models.audio.problems import AudioError, AudioWarning
from models.features import SAMPLE_RATE, WINDOW

MAX_SECONDS: Final = 60.0
MIN_RATE: Final = 4_000
MAX_RATE: Final = 192_000
MAX_CHANNELS: Final = 2
MAX_CHUNKS: Final = 256
"""Recorders and editors write a handful; a walk over more is time given away."""

Subtype = Literal[
    "PCM_U8", "PCM_S8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"
]
"""libsndfile's names of encodings of bare samples."""

BYTES: Final[dict[Subtype, int]] = {
    "PCM_U8": 1,
    "PCM_S8": 1,
    "PCM_16": 2,
    "PCM_24": 3,
    "PCM_32": 4,
    "FLOAT": 4,
    "DOUBLE": 8,
    "ULAW": 1,
    "ALAW": 1,
}
"""Of one sample."""


@dataclass(frozen=True, slots=True)
class Layout:
    """What an accepted header says.

    Attributes:
        subtype: of bare samples; None for FLAC.
        rate: Hz.
        channels: 1 or 2.
        frames: samples per channel.
        start: offset of the first sample, or of the first FLAC frame.
        big_endian: whether a sample's first byte is its highest.
        warnings: of the header.
    """

    subtype: Subtype | None
    rate: int
    channels: int
    frames: int
    start: int
    big_endian: bool = False
    warnings: tuple[AudioWarning, ...] = ()

    @property
    def duration_s(self) -> float:
        """Seconds."""
        return self.frames / self.rate


def check_channels(channels: int) -> None:
    """One or two.

    Raises:
        AudioError: ``unsupported_channels``.
    """
    if not 1 <= channels <= MAX_CHANNELS:
        raise AudioError(
            "unsupported_channels",
            f"The audio has {channels} channels; 1 or 2 are accepted. Send the speaker's alone.",
        )


def check_layout(layout: Layout, max_seconds: float) -> None:
    """Rate and length are within the limits: nothing larger is ever decoded.

    Raises:
        AudioError: ``unsupported_rate``, ``no_frames``, ``too_short`` or ``too_long``.
    """
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
            f"The clip lasts {1000 * layout.duration_s:.1f} ms; at least "
            f"{1000 * WINDOW / SAMPLE_RATE:.0f} ms, one analysis window, are needed.",
        )
    if layout.frames > int(max_seconds * layout.rate):
        raise AudioError(
            "too_long",
            f"The clip lasts {layout.duration_s:.1f} s; at most {max_seconds:g} s are "
            "accepted. Cut it into shorter ones.",
        )
