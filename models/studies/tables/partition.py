"""Table 1: speakers and clips of each partition."""

from collections import Counter
from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field

from models.audit.figure import Figures
from models.corpus.manifest import SPLITS, Clip, Manifest
from models.studies.tables.table import Record, Sheet, StudyTable

UNSPLIT = "none"
"""In place of a split: the clip has none, and no model of the study sees it."""


class Counted(Figures):
    """Speakers, or clips of an emotion."""

    by_split: dict[str, int]
    total: int
    female: int
    male: int
    unknown: int = Field(description="Whose gender the corpus does not give.")

    @property
    def genders(self) -> str:
        """Such as "23 : 45"."""
        told = f"{self.female} : {self.male}"
        return told if not self.unknown else f"{told} ({self.unknown} unknown)"


class PartitionTable(StudyTable):
    """Speakers and clips by partition and gender."""

    name: ClassVar[str] = "partition"

    missing: str | None = Field(default=None, description="Why there is nothing to count.")
    splits: list[str]
    speakers: Counted
    emotions: dict[str, Counted]
    clips: Counted

    @classmethod
    def of(cls, manifest: Manifest) -> "PartitionTable":
        """Of a corpus, with the splits that the study trained and audited on."""
        clips = list(manifest)
        there = {clip.split or UNSPLIT for clip in clips}
        splits = [split for split in (*SPLITS, UNSPLIT) if split in there]
        first = {(clip.speaker, clip.split): clip for clip in clips}
        return cls(
            missing=None if clips else "the corpus is not at hand any more",
            splits=splits,
            speakers=_counted(list(first.values()), splits, people=True),
            emotions={
                emotion: _counted([clip for clip in clips if clip.emotion == emotion], splits)
                for emotion in manifest.emotions
            },
            clips=_counted(clips, splits),
        )

    def sheets(self) -> Iterator[Sheet]:
        """See :class:`StudyTable`."""
        yield Sheet(
            name="partition",
            title="Table 1. Speakers and clips of each partition",
            heads=("", *self.splits, "Σ", "f : m"),
            rows=tuple(
                (name, *(str(one.by_split[split]) for split in self.splits), str(one.total),
                 one.genders)
                for name, one in self._rows()
            ),
            notes=() if self.missing is None else (f"{self.missing.capitalize()}.",),
        )  # fmt: skip

    def records(self) -> Iterator[Record]:
        """See :class:`StudyTable`."""
        if self.missing is not None:
            yield Record(table=self.name, figure="n", missing=self.missing)
        for of, one in self._rows():
            for split in self.splits:
                yield Record(
                    table=self.name, of=of, partition=split, figure="n", value=one.by_split[split]
                )
            for figure in ("total", "female", "male", "unknown"):
                yield Record(table=self.name, of=of, figure=figure, value=getattr(one, figure))

    def _rows(self) -> Iterator[tuple[str, Counted]]:
        if self.missing is not None:
            return
        yield "speakers", self.speakers
        yield from self.emotions.items()
        yield "all clips", self.clips


def _counted(clips: list[Clip], splits: list[str], *, people: bool = False) -> Counted:
    """Clips; or with ``people`` their speakers, of whom each is in one split."""
    by_split = Counter(clip.split or UNSPLIT for clip in clips)
    each = list({clip.speaker: clip for clip in clips}.values()) if people else clips
    genders = Counter(clip.gender for clip in each)
    return Counted(
        by_split={split: by_split[split] for split in splits},
        total=len(each),
        female=genders["f"],
        male=genders["m"],
        unknown=len(each) - genders["f"] - genders["m"],
    )
