"""Speaker-independent partitions: whoever is heard in training is never heard in a test.

A network that has met a speaker recognises the person as much as the emotion, and its test figures
say too much. The paper's partitions (Table 1) keep speakers apart and balance gender and emotion.
Of speakers who differ much in their clips, `models.corpus.balancing` makes the best.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from heapq import nsmallest
from itertools import accumulate, pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from models.checkpoint import MAX_CLASSES
from models.corpus import balancing
from models.corpus.manifest import SPLITS, CorpusError, Manifest

FRACTIONS: Final = {"train": 0.6, "dev": 0.2, "test": 0.2}
# Random assignments to choose from. With so many (0.3 s), each emotion's share of a split of
# CREMA-D is within one percentage point of its share of the corpus.
DRAWS: Final = 1_000
# Of a crowd of more than 2,000 there are fewer, so that the work stays within seconds; and a few
# are enough: the larger the crowd, the less any draw strays from the mixture of emotions.
SPEAKERS_DRAWN: Final = 2_000_000
FEWEST_DRAWS: Final = 10
# The best of them, from which swapping starts: one may lead to a better end than the very best.
STARTS: Final = 8
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
    do (fewer for more than 2,000 speakers), the one is kept whose splits have most nearly their
    shares of the clips of each emotion and of each gender. Before that, in the best few of them,
    speakers of a gender are swapped between splits while that brings these nearer (not in crowds
    of thousands, which need it not).

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
    best = _assign(crowd, np.array(list(fractions.values())), seed)
    split_of = {
        speaker: list(fractions)[split] for speaker, split in zip(crowd.speakers, best, strict=True)
    }
    return Manifest(tuple(replace(clip, split=split_of[clip.speaker]) for clip in manifest))


def speaker_folds(manifest: Manifest, k: int, seed: int = 0) -> list[list[str]]:
    """The speakers in ``k`` groups of equal size, or almost, with like mixtures of emotions.

    Args:
        manifest: the corpus, of at least ``k`` speakers.
        k: how many groups.
        seed: of the random assignments. Equal arguments give equal folds.

    Raises:
        CorpusError: see `check_variety`.
    """
    check_variety(manifest)
    crowd = _Crowd.of(manifest)
    assigned = _assign(crowd, np.full(k, 1 / k), seed)
    return [
        [speaker for speaker, fold in zip(crowd.speakers, assigned, strict=True) if fold == number]
        for number in range(k)
    ]


def _assign(crowd: "_Crowd", shares: npt.NDArray[np.float64], seed: int) -> npt.NDArray[np.int64]:
    """The number of the split of each speaker, (speakers,); see `speaker_independent`."""
    quotas = _quotas(crowd, shares)
    rng = random.Random(seed)  # noqa: S311  (a partition, not a secret)

    def cost(assignment: npt.NDArray[np.int64]) -> float:
        return balancing.cost(crowd.counts(assignment, len(shares)), shares)

    draws = (_draw(crowd, quotas, rng) for _ in range(_draws(len(crowd.speakers))))
    if len(crowd.speakers) * crowd.kinds > balancing.MOST_CELLS:
        return min(draws, key=cost)
    clips = crowd.clips()
    starts = nsmallest(STARTS, draws, key=cost)
    return min((balancing.balance(clips, crowd.genders, one, shares) for one in starts), key=cost)


@dataclass(frozen=True, slots=True)
class _Crowd:
    """The speakers of a corpus.

    Attributes:
        speakers: sorted, (speakers,).
        genders: the numbers of the speakers of each gender.
        kinds: how many emotions there are, and genders if there are several.
        heard: the number of the speaker of each clip, (clips,), and then once more if there are
            several genders. A table of speakers and emotions would be as large as their product,
            of which a hostile index has billions.
        carried: the number of the emotion of each clip, and then of the gender.
    """

    speakers: tuple[str, ...]
    genders: tuple[tuple[int, ...], ...]
    kinds: int
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
        heard = [row[clip.speaker] for clip in manifest]
        carried = [column[clip.emotion] for clip in manifest]
        genders = sorted(set(gender.values()))
        if len(genders) > 1:
            carried += [len(column) + genders.index(gender[speaker]) for speaker in heard]
            heard += heard
        return cls(
            manifest.speakers,
            tuple(groups),
            len(column) + (len(genders) if len(genders) > 1 else 0),
            np.array(heard, np.int64),
            np.array(carried, np.int64),
        )

    def counts(self, assignment: npt.NDArray[np.int64], splits: int) -> npt.NDArray[np.float64]:
        """Clips per split and kind, (splits, kinds), for the split of each speaker."""
        cells = assignment[self.heard] * self.kinds + self.carried
        table = np.bincount(cells, minlength=splits * self.kinds)
        return table.reshape(splits, self.kinds).astype(np.float64)

    def clips(self) -> npt.NDArray[np.float64]:
        """Clips per speaker and kind, (speakers, kinds)."""
        return self.counts(np.arange(len(self.speakers)), len(self.speakers))


def _check_fractions(fractions: Mapping[str, float]) -> None:
    unknown = [split for split in fractions if split not in SPLITS]
    positive = all(fraction > 0 for fraction in fractions.values())
    if unknown or not positive or abs(sum(fractions.values()) - 1) > 1e-6:
        raise ValueError(
            f"fractions {dict(fractions)} must give positive shares of {', '.join(SPLITS)} "
            "that sum to 1; leave out a split that is not wanted"
        )


def _quotas(crowd: _Crowd, shares: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Speakers per gender and split, (genders, splits): each split gets one at least."""
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
