"""What a corpus contains: one `Clip` a recording, and the `Manifest` that lists them.

A manifest says nothing about where the audio lies: `Clip.path` is relative to the corpus folder,
always with forward slashes, and never leaves that folder.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

SPLITS = ("train", "dev", "test")
GROUPED = ("sentence", "split")
"""Attributes that audits may be grouped by; by speaker, gender, emotion and duration they always
are."""
MAX_PATH_CHARACTERS = 255
MAX_LABEL_CHARACTERS = 64

Attribute = Literal["speaker", "gender", "emotion", "sentence", "split"]


class CorpusError(ValueError):
    """A corpus that cannot be used as it is.

    Attributes:
        code: stable name of the fault, for programs.
        errors: the single faults (at most a handful); empty when the message says it all.
    """

    def __init__(self, code: str, message: str, errors: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.errors = tuple(errors)


@dataclass(frozen=True, slots=True)
class Clip:
    """One recording and what is known about it.

    Attributes:
        path: file name relative to the corpus folder, with forward slashes.
        speaker: identifier, unique within the corpus.
        gender: "f", "m" or "" when unknown.
        emotion: label in lower case, e.g. "anger".
        sentence: identifier of what is said, "" when unknown.
        duration_s: seconds; 0.0 until the audio has been measured.
        split: "train", "dev", "test" or None when the corpus gives no partition.
        extra: other columns of `index.csv` with their values, those left out that are empty.
    """

    path: str
    speaker: str
    gender: str
    emotion: str
    sentence: str
    duration_s: float
    split: str | None
    extra: tuple[tuple[str, str], ...] = ()

    def column(self, name: str) -> str | None:
        """Its value in a column that an audit may be grouped by; None where it has none."""
        if name in GROUPED:
            return getattr(self, name) or None
        return dict(self.extra).get(name)


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file of a corpus that is not used, and why.

    Attributes:
        path: of the file.
        reason: a sentence for people.
        code: stable name of the kind of reason, by which such files are counted:
            ``not_audio``, ``macos_metadata``, ``nested_archive``, ``bad_path``, ``too_large``,
            ``not_listed``, ``other_name``, ``copy``, ``lesser_recording``, ``unreadable``, or one
            of `models.audio.AudioError`; ``unknown`` of corpora from before there were codes.
    """

    path: str
    reason: str
    code: str = "unknown"


@dataclass(frozen=True, slots=True)
class Manifest:
    """The clips of a corpus, in a fixed order."""

    clips: tuple[Clip, ...]

    def __len__(self) -> int:
        return len(self.clips)

    def __iter__(self) -> Iterator[Clip]:
        return iter(self.clips)

    @property
    def emotions(self) -> tuple[str, ...]:
        """The labels that occur, sorted: the order of a network's outputs."""
        return tuple(sorted({clip.emotion for clip in self.clips}))

    @property
    def speakers(self) -> tuple[str, ...]:
        """The speakers that occur, sorted."""
        return tuple(sorted({clip.speaker for clip in self.clips}))

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits that occur, in the order train, dev, test."""
        present = {clip.split for clip in self.clips}
        return tuple(split for split in SPLITS if split in present)

    def split(self, *names: str) -> Manifest:
        """The clips of the named splits, e.g. ``split("train", "dev")``, in corpus order.

        Raises:
            CorpusError: a named split holds no clip (code ``unknown_split``).
        """
        missing = [name for name in names if name not in self.splits]
        if missing:
            present = ", ".join(self.splits) or "none at all"
            raise CorpusError(
                "unknown_split",
                f"No clip belongs to the split {missing[0]!r}; this corpus has {present}. "
                "Name one of those, or make a partition first.",
            )
        return Manifest(tuple(clip for clip in self.clips if clip.split in names))

    @property
    def columns(self) -> tuple[str, ...]:
        """Those that an audit may be grouped by, sorted: each has a value on some clip."""
        extra = {name for clip in self.clips for name, _ in clip.extra}
        own = {name for name in GROUPED if any(clip.column(name) for clip in self.clips)}
        # Bands of duration are always compared, and called that.
        return tuple(sorted((extra | own) - {"duration"}))

    def counts(self, attribute: Attribute) -> dict[str, int]:
        """Clips per value of ``attribute``, sorted by value; clips without one are left out."""
        found = Counter(str(getattr(clip, attribute) or "") for clip in self.clips)
        return {value: found[value] for value in sorted(found) if value}


def path_fault(path: str) -> str | None:
    """Why ``path`` is not a safe path inside a corpus folder; None when it is."""
    if not path:
        return "the path is empty"
    if len(path) > MAX_PATH_CHARACTERS:
        return f"the path has {len(path)} characters, more than {MAX_PATH_CHARACTERS}"
    if not path.isprintable() or "\\" in path or ":" in path:
        return f"the path {path!r} holds a backslash, a colon or a control character"
    parts = PurePosixPath(path)
    if parts.is_absolute() or ".." in parts.parts:
        return f"the path {path!r} leaves the corpus folder; give it relative to it, without '..'"
    if str(parts) != path or path == ".":
        return f"the path {path!r} is not in its plain form ({str(parts)!r})"
    return None
