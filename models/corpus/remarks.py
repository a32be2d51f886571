"""What makes the figures of a partition weak: one voice, one gender, a class of a few clips."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from models.corpus.manifest import Manifest

FEWEST_CLIPS: Final = 5
"""Of a class: of four, one clip moves the recall by .25."""
MOST_NAMED: Final = 8
GENDERS: Final = {"f": "women", "m": "men"}


@dataclass(frozen=True, slots=True)
class Part:
    """A partition in numbers.

    Attributes:
        clips: how many.
        speakers: how many.
        classes: clips of each emotion.
        genders: clips of each gender, where it is known.
    """

    clips: int
    speakers: int
    classes: Mapping[str, int]
    genders: Mapping[str, int]

    @classmethod
    def of(cls, manifest: Manifest) -> "Part":
        """The numbers of these clips."""
        return cls(
            len(manifest),
            len(manifest.speakers),
            manifest.counts("emotion"),
            manifest.counts("gender"),
        )


def remarks(name: str, part: Part, emotions: Iterable[str]) -> list[str]:
    """What whoever reads figures of this partition should know.

    Args:
        name: of the partition.
        part: its numbers.
        emotions: those that it should have.
    """
    found = []
    if part.speakers == 1:
        found.append(f"{name} has one speaker: what it tells is about that voice alone.")
    elif len(part.genders) == 1 and sum(part.genders.values()) == part.clips:
        (gender,) = part.genders
        found.append(f"{name} has {GENDERS.get(gender, gender)} only.")
    few = {one: part.classes.get(one, 0) for one in sorted(emotions)}
    few = {one: clips for one, clips in few.items() if clips < FEWEST_CLIPS}
    if few:
        counts = ", ".join(f"{one} ({clips})" for one, clips in list(few.items())[:MOST_NAMED])
        more = f" and {len(few) - MOST_NAMED} more" if len(few) > MOST_NAMED else ""
        found.append(
            f"{name} has fewer than {FEWEST_CLIPS} clips of {counts}{more}: a single clip moves"
            " the figures of these much."
        )
    return found
