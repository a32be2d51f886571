"""What a training learns from, and what it is scored on: a corpus as a network with its front end
hears it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Final

import torch
from torch import Tensor

from app.corpora.importing import audio_file
from app.trainings.schemas import TrainingRequest
from models.audio import level_range
from models.corpus import public_speakers
from models.corpus.conditions import read_conditions
from models.corpus.dataset import Dataset
from models.corpus.features import FeatureSet
from models.corpus.varied import Decoded, VariedDataset
from models.corruptions import Recordings
from models.features import Standardizer
from models.front_ends import FRONT_ENDS
from models.provenance import speaker_hashes
from models.training import TrainingClips
from workers.runtime.outcome import JobFailed
from workers.runtime.recordings import recording

NONE: Final[Mapping[str, Recordings]] = MappingProxyType({})


@dataclass(frozen=True)
class TrainingData:
    """What a training needs of its corpus.

    Attributes:
        labels: emotions in the order of the outputs: those of the training data.
        train: what is learnt from.
        parts: the other partitions by name, `dev` and `test` where there are such.
        standardizer: z-score of what is learnt from.
        public_speakers: whose speech is learnt from, see `models.corpus.public_speakers`.
        speakers_sha256: the same of any corpus, see `models.provenance.speaker_hashes`.
        levels_dbfs: the active levels that the model is meant for; None if they are not known.
    """

    labels: tuple[str, ...]
    train: TrainingClips
    parts: dict[str, Dataset]
    standardizer: Standardizer
    public_speakers: dict[str, list[str]]
    speakers_sha256: list[str]
    levels_dbfs: tuple[float, float] | None


def load_training_data(
    folder: Path,
    request: TrainingRequest,
    device: torch.device,
    noises: Mapping[str, Recordings] = NONE,
) -> TrainingData:
    """Read the features of the corpus in ``folder``; if they are to be varied, its recordings.

    Args:
        noises: recordings of the corpora that `augment` names.

    Raises:
        CorpusError: they are damaged, or lack a partition.
        JobFailed: they cannot be z-scored (code ``flat_features``), or a recording cannot be read
            (``clip_damaged``).
    """
    features = FeatureSet.load(folder)
    if request.fold is not None:  # in place of the corpus' own partition
        features = replace(features, manifest=request.fold.apply(features.manifest))
    front_end = FRONT_ENDS[request.front_end]
    train_on = request.train_on.split("+")
    clips = features.manifest.split(*train_on)
    labels = clips.emotions
    scored = [split for split in ("dev", "test") if split not in train_on]
    parts = {
        split: features.dataset(labels, split)[1].through(front_end).to(device)
        for split in scored
        if split in features.manifest.splits
        and set(features.manifest.split(split).emotions) & set(labels)
    }
    try:
        if request.augment:
            varied = _varied(folder, features, request, labels, noises)
            train: TrainingClips = varied.to(device)
            standardizer = varied.standardizer()
        else:
            learnt = features.dataset(labels, *train_on)[1].through(front_end)
            train, standardizer = learnt.to(device), learnt.standardizer()
    except ValueError as error:
        raise JobFailed(
            "flat_features",
            f"The recordings cannot be z-scored: {error}. Do they hold any sound at all?",
        ) from error
    return TrainingData(
        labels,
        train,
        parts,
        standardizer.to(device),
        public_speakers(clips),
        speaker_hashes(clips),
        _levels(folder, features, request, labels, noises),
    )


def _levels(
    folder: Path,
    features: FeatureSet,
    request: TrainingRequest,
    labels: tuple[str, ...],
    noises: Mapping[str, Recordings],
) -> tuple[float, float] | None:
    """The active levels that the model is meant for: those of its front end, or else those of what
    is learnt from. None where neither the corpus nor its recordings tell them."""
    of_front_end = FRONT_ENDS[request.front_end].levels_dbfs
    if of_front_end is not None:
        return of_front_end
    conditions = read_conditions(folder, len(features.manifest))
    wanted = request.train_on.split("+")
    if conditions is not None and not request.augment:
        return level_range(
            condition.level_dbfs
            for clip, condition in zip(features.manifest, conditions, strict=True)
            if clip.split in wanted
        )
    learnt = enumerate(features.manifest)
    if all(audio_file(folder, n, clip).is_file() for n, clip in learnt if clip.split in wanted):
        return _varied(folder, features, request, labels, noises).levels_dbfs()
    return None


def _varied(
    folder: Path,
    features: FeatureSet,
    request: TrainingRequest,
    labels: tuple[str, ...],
    noises: Mapping[str, Recordings],
) -> VariedDataset:
    """The recordings themselves, in the order of the features' data set."""
    wanted = request.train_on.split("+")
    chosen = [
        (audio_file(folder, number, clip), clip)
        for number, clip in enumerate(features.manifest)
        if clip.split in wanted
    ]

    def read(index: int) -> Tensor:
        path, clip = chosen[index]
        remedy = "Upload the corpus again, or leave augment out."
        return recording(path, f"The recording of {clip.path}", remedy)

    y = torch.tensor([labels.index(clip.emotion) for _, clip in chosen])
    return VariedDataset(
        Decoded(read),
        y,
        FRONT_ENDS[request.front_end],
        [one.with_recordings(noises) for one in request.augment],
        request.augment_share,
        request.seed,
    )
