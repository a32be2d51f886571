"""A corpus as the starters learn from it: partitioned, with its features and its recordings."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from models.audio import decode, level_range
from models.corpus import public_speakers
from models.corpus.conditions import read_conditions
from models.corpus.dataset import Dataset
from models.corpus.extraction import extract
from models.corpus.features import FeatureSet
from models.corpus.index import INDEX_NAME, read_index
from models.corpus.manifest import Clip, CorpusError, Manifest
from models.corpus.partition import check_disjoint
from models.corpus.varied import Decoded, VariedDataset
from models.features import Standardizer
from models.front_ends import FRONT_ENDS
from models.training import TrainingClips
from models.training_plan import TrainingPlan

Recording = Callable[[], Tensor]


@dataclass(frozen=True)
class Heard:
    """A corpus as the networks of a plan hear it.

    Attributes:
        train: what is learnt from, varied if the plan varies it.
        splits: train, dev and test as they are.
        standardizer: z-score of what is learnt from.
    """

    train: TrainingClips
    splits: dict[str, Dataset]
    standardizer: Standardizer


@dataclass(frozen=True)
class Corpus:
    """CREMA-D, partitioned.

    Attributes:
        labels: emotions in the order of the outputs.
        splits: log-mels of train, dev and test.
        recordings: of the same clips, each read when it is called.
        clips, speakers: how many, by split.
        trained_on: whose speech is learnt from, see `models.corpus.public_speakers`.
        index_sha256: of ``index.csv``, hexadecimal.
        sample_rates_hz: of the recordings, ascending.
        levels_dbfs: active levels of train, see `models.audio.level_range`.
        work: folder of this corpus' features and checkpoints.
    """

    labels: tuple[str, ...]
    splits: dict[str, Dataset]
    recordings: dict[str, list[Recording]]
    clips: dict[str, int]
    speakers: dict[str, int]
    trained_on: dict[str, list[str]]
    index_sha256: str
    sample_rates_hz: tuple[int, ...]
    levels_dbfs: tuple[float, float] | None
    work: Path
    _heard: dict[tuple[object, ...], Heard] = field(default_factory=dict)

    def heard(self, plan: TrainingPlan) -> Heard:
        """As this plan's network hears it."""
        key = (plan.front_end, plan.augment, plan.augment_share, plan.seed)
        if key not in self._heard:
            self._heard[key] = self._hear(plan)
        return self._heard[key]

    def _hear(self, plan: TrainingPlan) -> Heard:
        front_end = FRONT_ENDS[plan.front_end]
        splits = {name: data.through(front_end) for name, data in self.splits.items()}
        if not plan.augment:
            return Heard(splits["train"], splits, splits["train"].standardizer())
        recordings = self.recordings["train"]
        varied = VariedDataset(
            Decoded(lambda index: recordings[index]()),
            splits["train"].labels,
            front_end,
            plan.augment,
            plan.augment_share,
            plan.seed,
        )
        return Heard(varied, splits, varied.standardizer())


def read_corpus(folder: Path, work: Path) -> Corpus:
    """Read or make the features of the corpus in ``folder``.

    They are kept below ``work`` under the hash of its index: another index is another corpus.

    Raises:
        CorpusError: the corpus cannot be read, or its partitions share speakers.
    """
    index = (folder / INDEX_NAME).read_bytes()
    manifest = read_index(index)
    check_disjoint(manifest)
    sha256 = hashlib.sha256(index).hexdigest()
    work = work / sha256[:16]
    work.mkdir(parents=True, exist_ok=True)
    features = _features(manifest, folder, work)
    labels = features.manifest.emotions
    splits = {name: features.dataset(labels, name) for name in ("train", "dev", "test")}
    recordings = {name: read_each(clips, folder) for name, (clips, _) in splits.items()}
    return Corpus(
        labels,
        {name: data for name, (_, data) in splits.items()},
        recordings,
        {name: len(clips) for name, (clips, _) in splits.items()},
        {name: len(clips.speakers) for name, (clips, _) in splits.items()},
        public_speakers(splits["train"][0]),
        sha256,
        _sample_rates(features.manifest, folder),
        training_levels(features.manifest, work),
        work,
    )


def read_each(clips: Manifest, folder: Path) -> list[Recording]:
    """The recordings of these clips, each read when it is called."""
    return [partial(_samples, folder / clip.path) for clip in clips]


def _samples(path: Path) -> Tensor:
    return torch.from_numpy(decode(path.read_bytes()).samples)


def _features(manifest: Manifest, folder: Path, work: Path) -> FeatureSet:
    """Those that are kept, if they are of these very clips and labels; else made anew."""
    try:
        kept = FeatureSet.load(work)
    except CorpusError:
        return extract(manifest, folder, work)
    skipped = {clip.path for clip in kept.skipped}
    expected = [_undated(clip) for clip in manifest if clip.path not in skipped]
    same = [_undated(clip) for clip in kept.manifest] == expected
    if same and read_conditions(work, len(expected)) is not None:
        return kept
    return extract(manifest, folder, work)


def training_levels(manifest: Manifest, folder: Path) -> tuple[float, float] | None:
    """Between which active levels the training clips lie, see `models.audio.level_range`.

    Args:
        folder: of the features of these clips.
    """
    conditions = read_conditions(folder, len(manifest))
    if conditions is None:
        return None
    return level_range(
        condition.level_dbfs
        for clip, condition in zip(manifest, conditions, strict=True)
        if clip.split == "train"
    )


def _undated(clip: Clip) -> Clip:
    """Without the duration, which an index may round and the features have measured."""
    return replace(clip, duration_s=0.0)


def _sample_rates(manifest: Manifest, folder: Path) -> tuple[int, ...]:
    import soundfile

    return tuple(sorted({soundfile.info(folder / clip.path).samplerate for clip in manifest}))
