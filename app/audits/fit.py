"""Whether a model and a corpus go together, and what the owner of the audit should know of them.

What spoils an audit most is speech of speakers that the model was trained on: it knows them. A
model from here knows the corpus it learnt; if that is a public one, known by its file names, it
knows the speakers too, so that a second upload with another partition is noticed.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from app.audits.schemas import AuditRequest
from app.corpora import service as corpora
from app.corpora.tables import Corpus
from app.errors import Invalid
from app.persistence.storage import Storage
from models.checkpoint import ModelConfig
from models.corpus import public_speakers
from models.corpus.aliases import hint
from models.corpus.manifest import CorpusError
from models.corpus.remarks import remarks
from models.provenance import Provenance

MOST_NAMED: Final = 5


def unknown_labels(config: ModelConfig, classes: Mapping[str, int]) -> dict[str, int]:
    """The emotions that the model does not know, with their clips."""
    return {name: clips for name, clips in classes.items() if name not in config.labels}


def warnings(
    storage: Storage, config: ModelConfig, corpus: Corpus, request: AuditRequest
) -> list[str]:
    """What should stand beside the result of this audit."""
    try:
        part = corpora.numbers(storage, corpus, request.partition, request.fold)
    except Invalid:  # the audit itself will say that the corpus is damaged
        return []
    found = []
    left_out = unknown_labels(config, part.classes)
    if left_out:
        counts = ", ".join(f"{name} ({clips} clips)" for name, clips in left_out.items())
        found.append(f"Clips of emotions that the model does not know are left out: {counts}.")
        advice = hint(left_out, config.labels)
        if advice:
            found.append(f"{advice}.")
    known = [name for name in corpus.classes if name in config.labels]
    found += remarks(request.partition, part, known)
    familiar = _same_clips(storage, config, corpus, request) or _same_speakers(
        storage, config, corpus, request
    )
    if familiar is not None:
        found.append(f"{familiar}: on new speakers it does worse.")
    return found


def _same_clips(
    storage: Storage, config: ModelConfig, corpus: Corpus, request: AuditRequest
) -> str | None:
    run = Provenance.of(config)
    if run.corpus != corpus.id:
        return None
    if run.fold != request.fold:
        return _other_fold(storage, run, corpus, request)
    if request.partition != "all" and request.partition not in run.train_on.split("+"):
        return None
    return f"The model was trained on {run.train_on} of this corpus"


def _other_fold(
    storage: Storage, run: Provenance, corpus: Corpus, request: AuditRequest
) -> str | None:
    """The model was trained on one partition of the corpus, and is audited on another."""
    folder = storage.published(storage.corpus_dir(corpus.id))
    try:
        learnt = corpora.read_manifest(folder, run.fold).split(*run.train_on.split("+"))
        manifest = corpora.read_manifest(folder, request.fold)
        clips = manifest if request.partition == "all" else manifest.split(request.partition)
    except (OSError, CorpusError):  # the audit itself will say that the corpus is damaged
        return None
    return _trained_on(sorted(set(learnt.speakers) & set(clips.speakers)), len(clips.speakers))


def _same_speakers(
    storage: Storage, config: ModelConfig, corpus: Corpus, request: AuditRequest
) -> str | None:
    """By the file names of the public corpus that both are from, if that is so."""
    learnt = Provenance.of(config).public_speakers
    if not learnt:
        return None
    try:
        folder = storage.published(storage.corpus_dir(corpus.id))
        manifest = corpora.read_manifest(folder, request.fold)
        clips = manifest if request.partition == "all" else manifest.split(request.partition)
    except (OSError, CorpusError):  # the audit itself will say that the corpus is damaged
        return None
    here = public_speakers(clips)
    shared = sorted(
        speaker
        for name, speakers in here.items()
        for speaker in speakers
        if speaker in learnt.get(name, [])
    )
    return _trained_on(shared, sum(map(len, here.values())))


def _trained_on(shared: Sequence[str], count: int) -> str | None:
    if not shared:
        return None
    more = ", …" if len(shared) > MOST_NAMED else ""
    return (
        f"The model was trained on {len(shared)} of the {count} speakers of these clips"
        f" ({', '.join(shared[:MOST_NAMED])}{more})"
    )
