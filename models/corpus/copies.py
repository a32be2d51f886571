"""Several files of one clip: copies of the same bytes, and recordings of which the better is kept.

Published archives hold a clip twice, in two folders or as WAV and FLAC. Mostly the two are the same
bytes. Where they are not, one may be cut off, clipped or resampled.
"""

import filecmp
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from models.audio import AudioError, decode
from models.corpus.manifest import Clip, Manifest, Skipped

WHOLE = frozenset({"truncated", "unknown_length", "header_size"})
"""Warnings of a file that is not as its header says."""


@dataclass(frozen=True, slots=True)
class Settled:
    """Which files are used.

    Attributes:
        kept: the numbers of the clips in the manifest, rising.
        skipped: the others, each with the file that is kept instead.
    """

    kept: tuple[int, ...]
    skipped: tuple[Skipped, ...]


class _Quality(NamedTuple):
    """Of a recording: of two, the one is better that is greater in the first that differs."""

    readable: bool
    whole: bool
    rate: int
    unclipped: float
    sound: float
    seconds: float


SHORTCOMINGS = {
    "readable": "it cannot be read",
    "whole": "it is not whole",
    "rate": "its sampling rate is lower",
    "unclipped": "more of it is clipped",
    "sound": "more of it is digital silence",
    "seconds": "it is shorter",
}


def settle(
    manifest: Manifest,
    file_of: Callable[[int], Path],
    *,
    max_seconds: float,
    look: Callable[[], None],
) -> Settled:
    """Keep one file of each clip: the best recording, of equal ones the first by name.

    Clips are one if their files have the same name, but for folder and ending, and tell the same.

    Args:
        manifest: the clips as their names tell.
        file_of: where the recording of the clip of this number lies.
        max_seconds: longer clips cannot be read.
        look: called before each file that is decoded; what it raises ends the work.
    """
    groups: dict[tuple[str, ...], list[int]] = {}
    for number, clip in enumerate(manifest):
        groups.setdefault(_identity(clip), []).append(number)
    kept: list[int] = []
    skipped: list[Skipped] = []
    for group in groups.values():
        best, others = _choose(group, file_of, max_seconds, look)
        kept.append(best)
        name = manifest.clips[best].path
        for number, why in others:
            path = manifest.clips[number].path
            if why is None:
                skipped.append(Skipped(path, f"a copy of {name}: the same bytes", "copy"))
            else:
                reason = f"another recording of the clip {name}, which is kept: {why}"
                skipped.append(Skipped(path, reason, "lesser_recording"))
    return Settled(tuple(sorted(kept)), tuple(skipped))


def _identity(clip: Clip) -> tuple[str, ...]:
    name = clip.path.rsplit("/", 1)[-1].rsplit(".", 1)[0]
    return name, clip.speaker, clip.gender, clip.emotion, clip.sentence


def _choose(
    group: Sequence[int],
    file_of: Callable[[int], Path],
    max_seconds: float,
    look: Callable[[], None],
) -> tuple[int, list[tuple[int, str | None]]]:
    """The number of the best, and each other with its shortcoming; None if its bytes are equal."""
    first = file_of(group[0])
    if all(filecmp.cmp(first, file_of(other), shallow=False) for other in group[1:]):
        return group[0], [(other, None) for other in group[1:]]
    quality: dict[int, _Quality] = {}
    for number in group:
        look()
        quality[number] = _quality(file_of(number), max_seconds)
    best = max(group, key=lambda number: quality[number])  # of equal ones the first
    same = {n for n in group if filecmp.cmp(file_of(best), file_of(n), shallow=False)}
    return best, [
        (number, None if number in same else _shortcoming(quality[number], quality[best]))
        for number in group
        if number != best
    ]


def _quality(path: Path, max_seconds: float) -> _Quality:
    try:
        heard = decode(path.read_bytes(), max_seconds=max_seconds)
    except AudioError:
        return _Quality(False, False, 0, 0.0, 0.0, 0.0)
    told = {warning.code: warning.value for warning in heard.warnings}
    silence = told.get("digital_silence", 0.0)
    return _Quality(
        readable=True,
        whole=not WHOLE & told.keys(),
        rate=heard.source_rate,
        unclipped=-float(told.get("clipped", 0.0)),
        sound=-float(silence),
        seconds=heard.duration_s,
    )


def _shortcoming(worse: _Quality, better: _Quality) -> str:
    for name, mine, theirs in zip(_Quality._fields, worse, better, strict=True):
        if mine != theirs:
            return SHORTCOMINGS[name]
    return "it is as good, and comes later"
