"""A corpus without recordings: features that stand for speech, ready to train on at once.

Each emotion is noise of a loudness of its own, so that even a tiny network learns it in seconds.
"""

from pathlib import Path

import torch
from sqlalchemy.orm import Session

from app.corpora.tables import Corpus
from app.persistence.ids import new_id
from app.persistence.storage import Storage
from models.corpus.features import FeatureWriter, write_description
from models.corpus.manifest import Clip, Manifest
from models.features import MELS

SPLITS = {"train": 4, "dev": 2, "test": 2}
"""Speakers of each."""


def manifest(emotions: tuple[str, ...] = ("anger", "joy", "sadness"), takes: int = 2) -> Manifest:
    """Every speaker says every emotion so many times."""
    clips = [
        Clip(
            f"{split}{speaker}_{emotion}_{take}.wav",
            f"{split}{speaker}",
            "f",
            emotion,
            "",
            0.6,
            split,
        )
        for split, speakers in SPLITS.items()
        for speaker in range(speakers)
        for emotion in emotions
        for take in range(takes)
    ]
    return Manifest(tuple(clips))


def write_corpus(folder: Path, clips: Manifest, frames: int = 36) -> None:
    """Write what an import would: ``features.safetensors``, ``index.csv``, ``skipped.json``."""
    folder.mkdir(parents=True)
    generator = torch.Generator().manual_seed(0)
    with FeatureWriter(folder) as writer:
        for clip in clips:
            features = torch.randn(frames, MELS, generator=generator)
            features += 2 * clips.emotions.index(clip.emotion)
            writer.append([frames], features.numpy().tobytes())
        writer.finish()
    write_description(folder, clips, ())


def add_corpus(
    session: Session, storage: Storage, clips: Manifest | None = None, *, owner: str = "local"
) -> Corpus:
    """Put such a corpus into the service, as if it had been uploaded."""
    clips = manifest() if clips is None else clips
    corpus_id = new_id("corpus")
    write_corpus(storage.corpus_dir(corpus_id), clips)
    corpus = Corpus(
        id=corpus_id,
        owner=owner,
        name="speechless",
        format="index",
        clips=len(clips),
        classes=clips.counts("emotion"),
        speakers=len(clips.speakers),
        partitions={
            split: {
                "clips": len(part := clips.split(split)),
                "speakers": len(part.speakers),
                "classes": part.counts("emotion"),
            }
            for split in clips.splits
        },
    )
    session.add(corpus)
    session.commit()
    return corpus
