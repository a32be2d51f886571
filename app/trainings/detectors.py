"""Trainings of detectors: what is checked before one is queued."""

from dataclasses import replace
from functools import partial
from typing import Final

from sqlalchemy.orm import Session

from app.corpora import service as corpora
from app.corpora.tables import Corpus
from app.errors import Invalid
from app.jobs.queue import JobQueue
from app.jobs.service import Submission
from app.jobs.tables import Job
from app.persistence.storage import Storage
from app.registry import detectors as attaching
from app.registry import service as registry
from app.registry.service import Entry
from app.settings import Settings
from app.trainings import accepting
from app.trainings.detector_request import DetectorRequest
from models.corpus.aliases import hint
from models.corpus.manifest import Manifest
from models.corpus.partition import check_disjoint
from models.detectors.evaluation import examination_cost
from models.training_plan import MAX_PASSES

PARTITIONS: Final = ("train", "dev", "test")
FEW_DEV: Final = 100
"""Clean clips of `dev`: with fewer, one of them is more than 1 %."""


def create(
    session: Session,
    queue: JobQueue,
    storage: Storage,
    settings: Settings,
    request: DetectorRequest,
    *,
    owner: str,
    idempotency_key: str | None = None,
) -> Job:
    """Queue the training of a detector.

    Raises:
        NotFound: there is no such model or corpus, or it is another key's.
        Forbidden: it is to be attached to a starter.
        Invalid: the two do not go together, or the training is larger than allowed.
        Unavailable: the queue is away; nothing is left behind.
    """
    wanted = accepting.asked(request, owner=owner, idempotency_key=idempotency_key)
    checked = partial(_checked, session, storage, settings, request)
    return accepting.accept(session, queue, storage, settings, wanted, checked)


def _checked(
    session: Session,
    storage: Storage,
    settings: Settings,
    request: DetectorRequest,
    asked: Submission,
) -> Submission:
    entry = registry.get(session, storage, request.model, owner=asked.owner)
    if request.attach:
        attaching.check_own(entry)
    corpus = corpora.get(session, request.corpus, owner=asked.owner)
    _check_size(settings, request, entry)
    _check_attack(request, entry)
    manifest = _manifest(storage, corpus, entry)
    _check_examination(settings, request, entry, manifest)

    def lock_for_share(session: Session) -> None:
        registry.lock_for_share(session, entry)
        corpora.lock_for_share(session, corpus.id)

    return replace(
        asked, model=entry.id, warnings=_warnings(manifest, entry), lock_for_share=lock_for_share
    )


def _check_size(settings: Settings, request: DetectorRequest, entry: Entry) -> None:
    if request.iterations > settings.max_iterations:
        raise Invalid.of(
            "iterations",
            request.iterations,
            f"is more than the {settings.max_iterations} that this service allows",
            f"give at most {settings.max_iterations}",
        )
    most = settings.max_batch_frames // (2 * entry.config.frames)
    if request.batch_size > most:
        raise Invalid.of(
            "batch_size",
            request.batch_size,
            f"clips of {entry.config.frames} frames, each clean and attacked, are more than the"
            f" {settings.max_batch_frames} frames of a step that this service allows",
            f"give at most {most}",
        )


def _check_attack(request: DetectorRequest, entry: Entry) -> None:
    """Refuse an attack that cannot be run on this model.

    Raises:
        Invalid: naming the attack's field.
    """
    fault = request.attack.unsuited(entry.config.labels)
    if fault is not None:
        field, value = f"attack.{fault.field}", fault.value
        raise Invalid.of(field, value, fault.reason, fault.remedy, code="unsuited_attack")
    passes = request.attack.cost(len(entry.config.labels)).forwards
    if passes > MAX_PASSES:
        raise Invalid.of(
            "attack",
            request.attack.describe(),
            f"takes {passes} passes for each batch",
            f"give steps or queries for {MAX_PASSES}",
            code="unsuited_attack",
        )


def _manifest(storage: Storage, corpus: Corpus, entry: Entry) -> Manifest:
    """The clips of a corpus that will do.

    Raises:
        Invalid: it lacks a partition, or the model does not know its emotions.
    """
    folder = storage.published(storage.corpus_dir(corpus.id))
    with corpora.faults_of(corpus, None):
        manifest = corpora.read_manifest(folder)
        check_disjoint(manifest)
    absent = [name for name in PARTITIONS if name not in manifest.splits]
    if absent:
        raise Invalid.of(
            "corpus",
            corpus.id,
            f"it has no partition {' or '.join(absent)}: a detector learns from train, its"
            " threshold is chosen on dev, and its figures are those of test",
            "upload a corpus with the three of them",
            code="unknown_split",
        )
    for name in PARTITIONS:
        _check_labels(corpus, manifest.split(name), name, entry)
    return manifest


def _check_labels(corpus: Corpus, part: Manifest, name: str, entry: Entry) -> None:
    unknown = _unknown(part, entry)
    if len(unknown) == len(part.emotions):
        raise Invalid.of(
            "corpus",
            corpus.id,
            f"{entry.id} knows {', '.join(entry.config.labels)}, and {name} has none of these but"
            f" {', '.join(part.emotions)}",
            hint(unknown, entry.config.labels)
            or "choose a model and a corpus with emotions in common",
            code="no_common_emotions",
        )


def _check_examination(
    settings: Settings, request: DetectorRequest, entry: Entry, manifest: Manifest
) -> None:
    """Refuse an examination that would never end, as an audit of that size is.

    Raises:
        Invalid: it has more passes than the service allows.
    """
    clips = min(request.evaluate_clips, _known(manifest.split("test"), entry))
    # As if the recordings were at hand, which is the most.
    each = examination_cost(request.recipe, entry.config.labels, audible=True)
    passes = each.forwards + each.backwards
    if clips * passes <= settings.max_audit_passes:
        return
    most = settings.max_audit_passes // passes
    raise Invalid.of(
        "evaluate_clips",
        request.evaluate_clips,
        f"with {clips} clips of test the examination needs up to {clips * each.forwards} forward"
        f" and {clips * each.backwards} backward passes, more than the"
        f" {settings.max_audit_passes} that this service allows",
        f"give at most {most}, or an attack of fewer steps or queries"
        if most
        else "give an attack of fewer steps or queries",
        code="too_many_passes",
    )


def _unknown(part: Manifest, entry: Entry) -> dict[str, int]:
    """The emotions that the model does not know, with their clips."""
    counts = part.counts("emotion")
    return {name: n for name, n in counts.items() if name not in entry.config.labels}


def _known(part: Manifest, entry: Entry) -> int:
    """Clips of emotions that the model knows."""
    return len(part) - sum(_unknown(part, entry).values())


def _warnings(manifest: Manifest, entry: Entry) -> list[str]:
    found = []
    left_out = _unknown(manifest, entry)
    if left_out:
        counts = ", ".join(f"{name} ({clips} clips)" for name, clips in left_out.items())
        found.append(f"Clips of emotions that the model does not know are left out: {counts}.")
    clips = _known(manifest.split("dev"), entry)
    if clips < FEW_DEV:
        found.append(
            f"dev has {clips} clips that the model knows. Of fewer than {FEW_DEV} none may be a"
            " false alarm, and how many there will be elsewhere is hardly known."
        )
    return found
