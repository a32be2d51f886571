"""Whether a model and a corpus go together, and what the owner of the audit should know of them.

What spoils an audit most is speech of speakers that the model was trained on: it knows them. A
model from here knows the corpus it learnt; if that is a public one, known by its file names, it
knows the speakers too, so that a second upload with another partition is noticed.
"""

from typing import Final

from app.audits.schemas import AuditRequest
from app.corpora import service as corpora
from app.corpora.tables import Corpus
from app.persistence.storage import Storage
from models.checkpoint import ModelConfig
from models.corpus import public_speakers
from models.corpus.manifest import CorpusError
from models.provenance import Provenance

MOST_NAMED: Final = 5


def unknown_labels(config: ModelConfig, classes: dict[str, int]) -> dict[str, int]:
    """The emotions that the model does not know, with their clips."""
    return {name: clips for name, clips in classes.items() if name not in config.labels}


def warnings(
    storage: Storage, config: ModelConfig, corpus: Corpus, request: AuditRequest
) -> list[str]:
    """What should stand beside the result of this audit."""
    classes = corpus.classes
    if request.partition != "all":
        classes = corpus.partitions[request.partition]["classes"]
    found = []
    left_out = unknown_labels(config, classes)
    if left_out:
        counts = ", ".join(f"{name} ({clips} clips)" for name, clips in left_out.items())
        found.append(f"Clips of emotions that the model does not know are left out: {counts}.")
    familiar = _same_clips(config, corpus, request) or _same_speakers(
        storage, config, corpus, request
    )
    if familiar is not None:
        found.append(f"{familiar}: on new speakers it does worse.")
    return found


def _same_clips(config: ModelConfig, corpus: Corpus, request: AuditRequest) -> str | None:
    run = Provenance.of(config)
    if run.corpus != corpus.id:
        return None
    if request.partition != "all" and request.partition not in run.train_on.split("+"):
        return None
    return f"The model was trained on {run.train_on} of this corpus"


def _same_speakers(
    storage: Storage, config: ModelConfig, corpus: Corpus, request: AuditRequest
) -> str | None:
    """By the file names of the public corpus that both are from, if that is so."""
    learnt = Provenance.of(config).public_speakers
    if not learnt:
        return None
    try:
        manifest = corpora.read_manifest(storage.published(storage.corpus_dir(corpus.id)))
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
    if not shared:
        return None
    more = ", …" if len(shared) > MOST_NAMED else ""
    count = sum(map(len, here.values()))
    return (
        f"The model was trained on {len(shared)} of the {count} speakers of these clips"
        f" ({', '.join(shared[:MOST_NAMED])}{more})"
    )
