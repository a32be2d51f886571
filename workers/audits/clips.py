"""The clips of an audit, from a corpus or from an upload: features, labels, names and sound."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from sqlalchemy.orm import Session
from torch import Tensor

from app.audits import files
from app.audits.schemas import AuditRequest
from app.corpora import service as corpora
from app.persistence.storage import Storage
from models.audio import AudioError, decode, decode_recording
from models.audit import NO_LABEL, Waveforms
from models.corpus.dataset import Dataset
from models.corpus.sampling import stratified
from models.features import HOP, SAMPLE_RATE, LogMel
from workers.runtime.outcome import JobFailed
from workers.runtime.progress import Watchdog

# They were accepted once, under the limit of that day.
ANY_LENGTH: Final = 24 * 3600.0


@dataclass(frozen=True)
class Clips:
    """What is audited.

    Attributes:
        names: what the client called the clips, in the order of the audit.
        data: their features and labels.
        waveforms: their sound; None if the recordings are not at hand.
        description: where they come from, for the report.
        title: the same in a few words, for pictures.
        warnings: what the owner should know.
    """

    names: list[str]
    data: Dataset
    waveforms: Waveforms | None
    description: dict[str, Any]
    title: str
    warnings: list[str]


def from_corpus(
    session: Session,
    storage: Storage,
    request: AuditRequest,
    labels: Sequence[str],
    frames: int,
    *,
    owner: str,
) -> Clips:
    """The clips of a partition whose emotions the model knows, or a sample of them.

    Raises:
        NotFound: the corpus was deleted.
        Invalid: it holds none of the model's emotions, or its files are damaged.
    """
    corpus = corpora.get(session, request.corpus, owner=owner)
    selection = corpora.dataset(storage, corpus, request.partition, labels)
    whole = selection.dataset
    drawn = stratified(whole.labels, request.limit or len(whole), request.seed)
    recordings = [selection.files[number] for number in drawn.tolist()]
    data = whole.subset(drawn)
    warnings = _about_length(data, frames)
    audible = all(path.is_file() for path in recordings)
    if not audible:
        warnings.append("The corpus' recordings are not at hand: nothing is played as sound.")
    return Clips(
        names=[selection.clips[number].path for number in drawn.tolist()],
        data=data,
        waveforms=_reader(recordings, decode_recording) if audible else None,
        description={
            "corpus": corpus.id,
            "corpus_name": corpus.name,
            "partition": request.partition,
            "of": len(whole),
            "left_out": selection.left_out,
        },
        title=f"{corpus.name}, {request.partition}",
        warnings=warnings,
    )


def from_uploads(folder: Path, labels: Sequence[str], frames: int, watchdog: Watchdog) -> Clips:
    """The clips that lie in ``folder``, as the submission put them there.

    Raises:
        Stopped: the worker is to stop.
        JobFailed: they are damaged.
    """
    inputs = files.read_inputs(folder)
    paths = [files.input_path(folder, number) for number in range(len(inputs))]
    waveforms = _reader(paths, decode)
    log_mel = LogMel()
    pieces = []
    for number in range(len(inputs)):
        watchdog.check()
        # One frame more than is audited tells that there was more, and bounds the memory.
        pieces.append(log_mel(waveforms(number))[: frames + 1].clone())
    offsets = torch.tensor([0, *(len(piece) for piece in pieces)]).cumsum(0)
    known = [NO_LABEL if one.label is None else labels.index(one.label) for one in inputs]
    data = Dataset(torch.cat(pieces), offsets, torch.tensor(known))
    return Clips(
        names=[one.name for one in inputs],
        data=data,
        waveforms=waveforms,
        description={"uploaded": len(inputs)},
        title="uploaded clips",
        warnings=_about_length(data, frames),
    )


def _reader(paths: Sequence[Path], decoder: Callable[..., Any]) -> Waveforms:
    def read(index: int) -> Tensor:
        try:
            decoded = decoder(paths[index].read_bytes(), max_seconds=ANY_LENGTH)
        except (OSError, AudioError) as error:
            raise JobFailed(
                "clip_damaged",
                f"Clip {index} cannot be read any more: {error}. Upload the clips again.",
            ) from error
        return torch.from_numpy(decoded.samples)

    return read


def _about_length(data: Dataset, frames: int) -> list[str]:
    long = int((data.offsets.diff() > frames).sum())
    if not long:
        return []
    seconds = frames * HOP / SAMPLE_RATE
    text = f"{long} of {len(data)} clips are longer than the model's window of {seconds:.1f} s"
    return [f"{text}: their first part is audited."]
