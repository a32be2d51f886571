"""What a training learns from, and what it is scored on: a corpus as a network with its front end
hears it."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from app.corpora.importing import audio_file
from app.trainings.schemas import TrainingRequest
from models.corpus import public_speakers
from models.corpus.dataset import Dataset
from models.corpus.features import FeatureSet
from models.corpus.varied import Decoded, VariedDataset
from models.features import Standardizer
from models.front_ends import FRONT_ENDS
from models.provenance import speaker_hash
from models.training import TrainingClips
from workers.runtime.outcome import JobFailed
from workers.runtime.recordings import recording


@dataclass(frozen=True)
class TrainingData:
    """What a training needs of its corpus.

    Attributes:
        labels: emotions in the order of the outputs: those of the training data.
        train: what is learnt from.
        parts: the other partitions by name, `dev` and `test` where there are such.
        standardizer: z-score of what is learnt from.
        public_speakers: whose speech is learnt from, see `models.corpus.public_speakers`.
        speakers_sha256: the same of any corpus, see `models.provenance.speaker_hash`.
    """

    labels: tuple[str, ...]
    train: TrainingClips
    parts: dict[str, Dataset]
    standardizer: Standardizer
    public_speakers: dict[str, list[str]]
    speakers_sha256: list[str]


def load_training_data(
    folder: Path, request: TrainingRequest, device: torch.device
) -> TrainingData:
    """Read the features of the corpus in ``folder``; if they are to be varied, its recordings.

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
            varied = _varied(folder, features, request, labels)
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
        sorted({speaker_hash(clip.speaker) for clip in clips if clip.speaker}),
    )


def _varied(
    folder: Path,
    features: FeatureSet,
    request: TrainingRequest,
    labels: tuple[str, ...],
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
        request.augment,
        request.augment_share,
        request.seed,
    )
