"""What a file name tells about a clip, and the names of emotions that all corpora share."""

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

EMOTIONS: Final = frozenset(
    {
        "anger",
        "boredom",
        "calm",
        "disgust",
        "fear",
        "guilt",
        "happiness",
        "neutral",
        "sadness",
        "surprise",
    }
)
"""Every adapter answers with these, so that a model of one corpus can be audited on another."""

AUDIO_SUFFIXES: Final = frozenset({".wav", ".flac", ".aif", ".aiff"})


@dataclass(frozen=True, slots=True)
class Labels:
    """The part of a clip's description that stands in its file name.

    Attributes:
        speaker: identifier, unique within the corpus.
        gender: "f" or "m".
        emotion: one of `EMOTIONS`.
        sentence: identifier of what is said; "" where the name does not tell.
    """

    speaker: str
    gender: str
    emotion: str
    sentence: str


def is_audio(path: str) -> bool:
    """Whether the file's name ends like that of a WAV, FLAC or AIFF file."""
    return PurePosixPath(path).suffix.lower() in AUDIO_SUFFIXES


def stem(path: str) -> str:
    """The file's name without its folders and its last suffix: "a/1001_X.wav" gives "1001_X"."""
    return PurePosixPath(path).stem
