"""The clips of an audit, from a corpus or from an upload, read one by one."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

from sqlalchemy.orm import Session
from torch import Tensor

from app.audits import files
from app.audits.report import CorpusClips, UploadedClips
from app.audits.sample import sample
from app.audits.schemas import AuditRequest
from app.corpora import service as corpora
from app.persistence.storage import Storage
from models.audio import Condition
from models.audit import ClipFacts
from models.checkpoint import ModelConfig
from models.features import LogMel
from workers.runtime.recordings import condition, recording

KEPT: Final = 64
"""Recordings that stay decoded: a chunk's are asked for by each of its attacks."""


@dataclass(frozen=True)
class AuditClips:
    """The clips of an audit; see :class:`models.audit.Clips`.

    Attributes:
        known: what is known of each.
        read_log_mels: of the clip of this index, (n, mels).
        read_condition: of the recording of this index; None if it is not known.
        levels_dbfs: that the model is meant for; None if it does not say.
        recordings: where the sound lies; none if it is not at hand.
        description: where they come from, for the report.
        title: the same in a few words, for pictures.
        warnings: what the owner should know.
    """

    known: Sequence[ClipFacts]
    read_log_mels: Callable[[int], Tensor]
    read_condition: Callable[[int], Condition | None]
    levels_dbfs: tuple[float, float] | None
    recordings: Sequence[Path]
    description: CorpusClips | UploadedClips
    title: str
    warnings: tuple[str, ...] = ()

    @property
    def audible(self) -> bool:
        """Whether the recordings are at hand."""
        return len(self.recordings) > 0

    def __len__(self) -> int:
        return len(self.known)

    def facts(self, index: int) -> ClipFacts:
        """What is known of a clip."""
        return self.known[index]

    def warning_codes(self, index: int) -> tuple[str, ...] | None:
        """Codes of the warnings that a prediction of it has; None if they are not known."""
        condition = self.read_condition(index)
        return None if condition is None else condition.codes(self.levels_dbfs)

    def log_mels(self, index: int) -> Tensor:
        """Of the whole clip, (frames, mels), before z-scoring."""
        return self.read_log_mels(index)

    def waveform(self, index: int) -> Tensor:
        """Its samples, (n,) float32 at 16 kHz.

        Raises:
            JobFailed: the recording cannot be read any more.
        """
        return _read(self.recordings[index], index)


class ClipsDigest:
    """The SHA-256 of an audit's clips, as `app.audits.report` says what it is of, taken while they
    are read for something else."""

    def __init__(self, clips: AuditClips) -> None:
        self._clips = clips
        self._digest = hashlib.sha256()

    def watch(self, index: int, log_mels: Tensor) -> Tensor:
        """Count a clip, in their order; the log-mels come back as they are."""
        one = self._clips.facts(index)
        told = json.dumps([one.name, one.label, one.speaker]).encode()
        self._digest.update(told + b"\n" + log_mels.numpy().astype("<f4").tobytes())
        return log_mels

    @property
    def sha256(self) -> str:
        """Of the clips so far."""
        return self._digest.hexdigest()


@lru_cache(maxsize=KEPT)
def _read(path: Path, index: int) -> Tensor:
    return recording(path, f"Clip {index}", "Upload the clips again.")


def from_corpus(
    session: Session,
    storage: Storage,
    request: AuditRequest,
    config: ModelConfig,
    *,
    owner: str,
) -> AuditClips:
    """The clips of a partition whose emotions the model knows, or a sample of them.

    Raises:
        NotFound: the corpus was deleted.
        Invalid: it holds none of the model's emotions, or its files are damaged.
    """
    corpus = corpora.get(session, request.corpus, owner=owner)
    labels = config.labels
    chosen = corpora.selection(storage, corpus, request.partition, labels, request.fold)
    drawn = sample(chosen.clips, labels, request.limit, request.seed)
    recordings = [chosen.recordings[place] for place in drawn]
    audible = all(path.is_file() for path in recordings)
    numbers = [chosen.numbers[place] for place in drawn]
    known = chosen.conditions
    return AuditClips(
        known=[
            ClipFacts(
                name=clip.path,
                label=clip.emotion,
                speaker=clip.speaker or None,
                gender=clip.gender or None,
                duration_s=round(clip.duration_s, 3),
                group=None if request.group_by is None else clip.column(request.group_by),
            )
            for clip in (chosen.clips[place] for place in drawn)
        ],
        read_log_mels=lambda index: chosen.frames.clip(numbers[index]),
        read_condition=lambda index: (
            condition(recordings[index]) if known is None else known[drawn[index]]
        ),
        levels_dbfs=config.levels_dbfs,
        recordings=recordings if audible else [],
        description=CorpusClips(
            corpus=corpus.id,
            corpus_name=corpus.name,
            partition=request.partition,
            fold=request.fold,
            of=len(chosen.clips),
            left_out=chosen.left_out,
        ),
        title=f"{corpus.name}, {request.partition}",
        warnings=()
        if audible
        else ("The corpus' recordings are not at hand: nothing is played as sound.",),
    )


def from_uploads(folder: Path, config: ModelConfig) -> AuditClips:
    """The clips that lie in ``folder``, as the submission put them there.

    Args:
        config: of the model.

    Raises:
        JobFailed: they are damaged.
    """
    inputs = files.read_inputs(folder)
    paths = [files.input_path(folder, number) for number in range(len(inputs))]
    front_end = LogMel()

    def log_mels(index: int) -> Tensor:
        features: Tensor = front_end(_read(paths[index], index))
        return features

    return AuditClips(
        known=[
            ClipFacts(
                name=one.name,
                label=one.label,
                speaker=None,
                gender=None,
                duration_s=one.duration_s,
            )
            for one in inputs
        ],
        read_log_mels=log_mels,
        read_condition=lambda index: condition(paths[index]),
        levels_dbfs=config.levels_dbfs,
        recordings=paths,
        description=UploadedClips(uploaded=len(inputs)),
        title="uploaded clips",
    )
