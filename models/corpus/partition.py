"""Speaker-independent partitions: whoever is heard in training is never heard in a test.

A network that has met a speaker recognises the person as much as the emotion, and its test figures
say too much. The paper's partitions (Table 1) keep speakers apart and balance gender and emotion.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from models.checkpoint import MAX_CLASSES
from models.corpus.manifest import SPLITS, CorpusError, Manifest

FRACTIONS: Final = {"train": 0.6, "dev": 0.2, "test": 0.2}
# Random assignments to choose from. With so many (0.3 s), each emotion's share of a split of
# CREMA-D is within one percentage point of its share of the corpus.
DRAWS: Final = 1_000
# Of a crowd of more than 2,000 there are fewer, so that the work stays within seconds; and a few
# are enough: the larger the crowd, the less any draw strays from the mixture of emotions.
SPEAKERS_DRAWN: Final = 2_000_000
FEWEST_DRAWS: Final = 10
# So many names are enough to find the mistake.
MAX_NAMED: Final = 10


class PartitionError(CorpusError):
    """Splits that share speakers, or speakers that cannot be split; ``speakers`` names them."""

    def __init__(self, code: str, message: str, speakers: tuple[str, ...] = ()) -> None:
        super().__init__(code, message)
        self.speakers = speakers


def check_variety(manifest: Manifest) -> None:
    """Refuse a corpus that nothing can be learnt from.

    Raises:
        CorpusError: fewer than two emotions (code ``one_class``), more than a model may have
            (``too_many_classes``), or fewer than two speakers (``one_speaker``), which cannot be
            split into training and test.
    """
    emotions = manifest.emotions
    if len(emotions) > MAX_CLASSES:
        raise CorpusError(
            "too_many_classes",
            f"The clips carry {len(emotions)} emotions ({', '.join(emotions[:MAX_NAMED])}, …), and "
            f"a model has {MAX_CLASSES} at most. Is the column emotion the right one?",
        )
    if len(emotions) < 2:
        only = ", ".join(emotions) or "none"
        raise CorpusError(
            "one_class",
            f"The {len(manifest)} clips carry one emotion only ({only}). "
            "Telling emotions apart needs clips of at least two.",
        )
    if len(manifest.speakers) < 2:
        raise CorpusError(
            "one_speaker",
            f"The {len(manifest)} clips are all of the speaker {manifest.speakers[0]!r}. "
            "A speaker-independent test needs at least two speakers.",
        )


def check_disjoint(manifest: Manifest) -> None:
    """Refuse a partition in which a speaker belongs to two splits.

    Clips without a split are not looked at.

    Raises:
        PartitionError: code ``speakers_overlap``; ``speakers`` names all of them.
    """
    heard: dict[str, set[str]] = {}
    for clip in manifest:
        if clip.split is not None:
            heard.setdefault(clip.speaker, set()).add(clip.split)
    both = tuple(sorted(speaker for speaker, splits in heard.items() if len(splits) > 1))
    if not both:
        return
    named = ", ".join(
        f"{speaker} ({' and '.join(split for split in SPLITS if split in heard[speaker])})"
        for speaker in both[:MAX_NAMED]
    )
    more = f" and {len(both) - MAX_NAMED} more" if len(both) > MAX_NAMED else ""
    raise PartitionError(
        "speakers_overlap",
        f"The partition is not speaker-independent: {named}{more} belong to more than one split. "
        "Give all clips of a speaker the same split.",
        both,
    )


def speaker_independent(
    manifest: Manifest, fractions: Mapping[str, float] = FRACTIONS, seed: int = 0
) -> Manifest:
    """Give every clip a split, so that no speaker belongs to two.

    Each split gets its share of the speakers of each gender; of ``DRAWS`` random assignments that
    do (fewer for more than 2,000 speakers), the one is kept whose splits have most nearly the
    corpus's own mixture of emotions.

    Args:
        manifest: the corpus; splits it already has are overwritten.
        fractions: share of the speakers for each split that is wanted; they sum to 1.
        seed: of the random assignments. Equal arguments give equal splits.

    Returns:
        The same clips in the same order, with splits.

    Raises:
        ValueError: the fractions name an unknown split, are not positive, or do not sum to 1.
        CorpusError: see `check_variety`.
        PartitionError: there are fewer speakers than splits (code ``too_few_speakers``).
    """
    _check_fractions(fractions)
    check_variety(manifest)
    crowd = _Crowd.of(manifest)
    if len(crowd.speakers) < len(fractions):
        raise PartitionError(
            "too_few_speakers",
            f"{len(crowd.speakers)} speakers cannot be split into {' / '.join(fractions)}. "
            "Ask for fewer splits, or add speakers.",
            crowd.speakers,
        )
    quotas = _quotas(crowd, fractions)
    shares = np.array(list(fractions.values()))
    rng = random.Random(seed)  # noqa: S311  (a partition, not a secret)
    best = min(
        (_draw(crowd, quotas, rng) for _ in range(_draws(len(crowd.speakers)))),
        key=lambda assignment: _cost(crowd, assignment, shares),
    )
    split_of = {
        speaker: list(fractions)[split] for speaker, split in zip(crowd.speakers, best, strict=True)
    }
    return Manifest(tuple(replace(clip, split=split_of[clip.speaker]) for clip in manifest))


@dataclass(frozen=True, slots=True)
class _Crowd:
    """The speakers of a corpus.

    Attributes:
        speakers: sorted, (speakers,).
        genders: the numbers of the speakers of each gender.
        emotions: how many there are.
        heard: the number of the speaker of each clip, (clips,). A table of speakers and emotions
            would be as large as their product, of which a hostile index has billions.
        carried: the number of the emotion of each clip, (clips,).
    """

    speakers: tuple[str, ...]
    genders: tuple[tuple[int, ...], ...]
    emotions: int
    heard: npt.NDArray[np.int64]
    carried: npt.NDArray[np.int64]

    @classmethod
    def of(cls, manifest: Manifest) -> "_Crowd":
        row = {speaker: number for number, speaker in enumerate(manifest.speakers)}
        column = {emotion: number for number, emotion in enumerate(manifest.emotions)}
        gender: dict[int, str] = {}
        for clip in manifest:
            gender.setdefault(row[clip.speaker], clip.gender)
        groups = (
            tuple(number for number in sorted(gender) if gender[number] == name)
            for name in sorted(set(gender.values()))
        )
        return cls(
            manifest.speakers,
            tuple(groups),
            len(column),
            np.array([row[clip.speaker] for clip in manifest], np.int64),
            np.array([column[clip.emotion] for clip in manifest], np.int64),
        )

    def counts(self, assignment: npt.NDArray[np.int64], splits: int) -> npt.NDArray[np.float64]:
        """Clips per split and emotion, (splits, emotions), for the split of each speaker."""
        cells = assignment[self.heard] * self.emotions + self.carried
        table = np.bincount(cells, minlength=splits * self.emotions)
        return table.reshape(splits, self.emotions).astype(np.float64)


def _check_fractions(fractions: Mapping[str, float]) -> None:
    unknown = [split for split in fractions if split not in SPLITS]
    positive = all(fraction > 0 for fraction in fractions.values())
    if unknown or not positive or abs(sum(fractions.values()) - 1) > 1e-6:
        raise ValueError(
            f"fractions {dict(fractions)} must give positive shares of {', '.join(SPLITS)} "
            "that sum to 1; leave out a split that is not wanted"
        )


def _quotas(crowd: _Crowd, fractions: Mapping[str, float]) -> npt.NDArray[np.int64]:
    """Speakers per gender and split, (genders, splits): each split gets one at least."""
    shares = np.array(list(fractions.values()))
    sizes = np.array([len(group) for group in crowd.genders])
    total = np.ones(len(shares), dtype=np.int64)
    for _ in range(int(sizes.sum()) - len(shares)):
        total[np.argmax(shares * sizes.sum() - total)] += 1
    quotas = np.zeros((len(sizes), len(shares)), dtype=np.int64)
    wanted = np.outer(sizes, total) / sizes.sum()
    while (free := sizes - quotas.sum(axis=1)).any():
        open_places = np.outer(free > 0, total - quotas.sum(axis=0) > 0)
        quotas.flat[np.argmax(np.where(open_places, wanted - quotas, -np.inf))] += 1
    return quotas


def _draws(speakers: int) -> int:
    """How many assignments to choose from: so many that a crowd takes no longer than a group."""
    return max(FEWEST_DRAWS, min(DRAWS, SPEAKERS_DRAWN // speakers))


def _draw(
    crowd: _Crowd, quotas: npt.NDArray[np.int64], rng: random.Random
) -> npt.NDArray[np.int64]:
    """A random assignment that fills the quotas: the number of the split of each speaker."""
    assignment = np.empty(len(crowd.speakers), dtype=np.int64)
    for group, sizes in zip(crowd.genders, quotas, strict=True):
        order = rng.sample(group, len(group))
        bounds = accumulate((int(size) for size in sizes), initial=0)
        for split, (start, end) in enumerate(pairwise(bounds)):
            assignment[order[start:end]] = split
    return assignment


def _cost(
    crowd: _Crowd, assignment: npt.NDArray[np.int64], shares: npt.NDArray[np.float64]
) -> float:
    """How far the splits' shares of each emotion are from the wanted ones; 1 more for each that
    a split lacks altogether."""
    counts = crowd.counts(assignment, len(shares))
    shortfall = counts / counts.sum(axis=0) - shares[:, None]
    return float(np.square(shortfall).sum() + (counts == 0).sum())
