"""Trainings as the API sees them: what is checked before one is queued."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from pydantic import ValidationError
from sqlalchemy.orm import Session

from app.corpora import noises
from app.corpora import service as corpora
from app.corpora.importing import audio_file
from app.corpora.tables import Corpus
from app.errors import Invalid, shown
from app.http.problems import invalid
from app.jobs import service as jobs
from app.jobs.queue import JobQueue
from app.jobs.service import Submission
from app.jobs.states import JobKind
from app.jobs.tables import Job
from app.persistence.storage import Storage
from app.settings import Settings
from app.trainings import accepting
from app.trainings.kept_checkpoint import kept_checkpoint, outlives
from app.trainings.schemas import MAY_CHANGE, TrainingRequest
from models.class_weights import unknown_emotions
from models.corpus.manifest import Manifest
from models.corpus.partition import check_disjoint
from models.corpus.remarks import Part, remarks
from models.training_plan import Recipe


def create(
    session: Session,
    queue: JobQueue,
    storage: Storage,
    settings: Settings,
    request: TrainingRequest,
    *,
    owner: str,
    idempotency_key: str | None = None,
) -> Job:
    """Queue a training.

    Raises:
        NotFound: there is no such corpus, or it is another key's.
        Invalid: nothing can be learnt from it, or the training is larger than allowed.
        Unavailable: the queue is away; nothing is left behind.
    """
    wanted = accepting.asked(request, owner=owner, idempotency_key=idempotency_key)
    checked = partial(_checked, session, storage, settings, request)
    return accepting.accept(session, queue, storage, settings, wanted, checked)


def submission(
    session: Session,
    storage: Storage,
    settings: Settings,
    request: TrainingRequest,
    *,
    owner: str,
    idempotency_key: str | None = None,
    parent_id: str | None = None,
) -> Submission:
    """The training as a job that may be accepted; see `create`. For workers, which record it."""
    wanted = accepting.asked(
        request, owner=owner, idempotency_key=idempotency_key, parent_id=parent_id
    )
    return _checked(session, storage, settings, request, wanted)


def _checked(
    session: Session,
    storage: Storage,
    settings: Settings,
    request: TrainingRequest,
    asked: Submission,
) -> Submission:
    """What was asked for, with what its owner should know of it.

    Raises:
        NotFound, Invalid: as `create`.
    """
    _check_size(settings, request)
    corpus = corpora.get(session, request.corpus, owner=asked.owner)
    warnings = _check_corpus(storage, corpus, request)
    if request.resume_from is not None:
        _check_resumed(session, storage, request, request.resume_from, owner=asked.owner)
    taken = noises.check(session, storage, request.augment, "augment", owner=asked.owner)

    def lock_for_share(session: Session) -> None:
        for one in (corpus, *taken):
            corpora.lock_for_share(session, one.id)

    return replace(asked, warnings=warnings, lock_for_share=lock_for_share)


def _check_size(settings: Settings, request: TrainingRequest) -> None:
    if request.iterations > settings.max_iterations:
        raise Invalid.of(
            "iterations",
            request.iterations,
            f"is more than the {settings.max_iterations} that this service allows",
            f"give at most {settings.max_iterations}",
        )
    frames = request.batch_size * request.frames
    if frames > settings.max_batch_frames:
        raise Invalid.of(
            "batch_size",
            request.batch_size,
            f"clips of {request.frames} frames are {frames} a step, more than the"
            f" {settings.max_batch_frames} that this service allows",
            f"give at most {max(2, settings.max_batch_frames // request.frames)}, or fewer frames",
        )


def _check_corpus(storage: Storage, corpus: Corpus, request: TrainingRequest) -> list[str]:
    """What the owner should know of a corpus that will do.

    Raises:
        Invalid: it will not do.
    """
    folder = storage.published(storage.corpus_dir(corpus.id))
    with corpora.faults_of(corpus, request.fold):
        manifest = corpora.read_manifest(folder, request.fold)
        check_disjoint(manifest)
        learnt = manifest.split(*request.train_on.split("+"))
    if request.augment:
        _check_recordings(storage, corpus, manifest, request)
    if len(learnt.emotions) < 2:
        raise Invalid.of(
            "corpus",
            corpus.id,
            f"its partition {request.train_on} has clips of one emotion only"
            f" ({', '.join(learnt.emotions)}), and telling emotions apart needs two",
            "give a corpus with at least two emotions in it",
            code="one_class",
        )
    _check_plan(request, len(learnt.emotions))
    _check_weights(request, learnt.emotions)
    return _warnings(manifest, learnt, request)


def _check_resumed(
    session: Session, storage: Storage, request: TrainingRequest, job_id: str, *, owner: str
) -> None:
    """Refuse to go on from a training that left nothing to go on from, or that is another one.

    Raises:
        NotFound, Gone: there is no such training, or it is another key's.
        Invalid: naming the field.
    """
    job = jobs.get(session, job_id, owner=owner, kind=JobKind.TRAINING)
    left = outlives(job.kind, job.status, job.error) and kept_checkpoint(storage, job_id)
    if not left:
        raise Invalid.of(
            "resume_from",
            job_id,
            "keeps no checkpoint: only a model's training that failed as diverged does, once it has"
            " saved one",
            "leave resume_from out",
            code="no_checkpoint",
        )
    before = TrainingRequest.of_stored(job.request)
    for name in ("corpus", "train_on", "fold", *Recipe.model_fields):
        was, value = getattr(before, name), getattr(request, name)
        if name not in MAY_CHANGE and was != value:
            raise Invalid.of(
                name,
                value,
                f"is another than that of {job_id}, {shown(was)}",
                f"give the same, or leave resume_from out: only {', '.join(MAY_CHANGE)} may differ",
                code="not_the_same_training",
            )


def _check_recordings(
    storage: Storage, corpus: Corpus, manifest: Manifest, request: TrainingRequest
) -> None:
    """Refuse to vary recordings that are not at hand, as those of a corpus whose sound was removed.

    Raises:
        Invalid: naming the field.
    """
    folder = storage.corpus_dir(corpus.id)
    wanted = request.train_on.split("+")
    learnt = (
        audio_file(folder, number, clip)
        for number, clip in enumerate(manifest)
        if clip.split in wanted
    )
    if not all(path.is_file() for path in learnt):
        raise Invalid.of(
            "augment",
            [one.type for one in request.augment],
            "the recordings of the corpus are not at hand, and it is they that are varied",
            "upload the corpus again, or leave augment out",
            code="no_recordings",
        )


def _check_plan(request: TrainingRequest, n_classes: int) -> None:
    """Build what the worker would, so that nothing is accepted that fails there.

    Raises:
        Invalid: it cannot be built; the field is named.
    """
    try:
        request.plan(n_classes)
    except ValidationError as error:
        raise invalid(error.errors(), what=f"A training on {n_classes} emotions") from error


def _check_weights(request: TrainingRequest, emotions: Sequence[str]) -> None:
    """Refuse weights that would weigh nothing: a name may be mistyped.

    Raises:
        Invalid: naming the field.
    """
    weights = request.class_weights
    for emotion in unknown_emotions(weights, emotions):
        raise Invalid.of(
            f"class_weights.{emotion}",
            weights[emotion] if isinstance(weights, dict) else weights,
            f"{request.train_on} has no clip of this emotion",
            f"give weights for {', '.join(emotions)}, or for some of them",
            code="unknown_emotion",
        )


def _warnings(manifest: Manifest, learnt: Manifest, request: TrainingRequest) -> list[str]:
    found = []
    scored = [split for split in ("dev", "test") if split not in request.train_on]
    absent = [split for split in scored if split not in manifest.splits]
    if absent:
        found.append(f"The corpus has no partition {' or '.join(absent)}: no figures for it.")
    for split in scored:
        if split in manifest.splits:
            part = manifest.split(split)
            unknown = sorted(set(part.emotions) - set(learnt.emotions))
            if unknown:
                found.append(
                    f"Clips of {split} with emotions that {request.train_on} lacks are left out:"
                    f" {', '.join(unknown)}."
                )
    unwatched = _unwatched(manifest, request)
    if request.on_overfitting != "warn" and unwatched is not None:
        found.append(f"on_overfitting is {request.on_overfitting}, but {unwatched}.")
    found += remarks(request.train_on, Part.of(learnt), learnt.emotions)
    for split in scored:
        if split in manifest.splits:
            found += remarks(split, Part.of(manifest.split(split)), learnt.emotions)
    if len(learnt) < request.batch_size:
        found.append(
            f"{request.train_on} has {len(learnt)} clips, fewer than one batch of"
            f" {request.batch_size}: they are repeated in it."
        )
    return found


def _unwatched(manifest: Manifest, request: TrainingRequest) -> str | None:
    """Why nobody can find out whether the training overfits; None if somebody can."""
    if "dev" in request.train_on.split("+"):
        return "no dev is left to find it on"
    if "dev" not in manifest.splits:
        return "the corpus has no dev to find it on"
    if request.looks_every == 0:
        return "evaluate_every is 0, so nothing looks for it"
    if request.defense.inputs == "clean":
        return f"the defense {request.defense.type} learns no adversarial clips to overfit to"
    if request.epsilon == 0:
        return "epsilon is 0, so there is nothing to overfit to"
    if request.attacked_looks < 2:
        return (
            f"evaluate_every is {request.looks_every}, so there are not two evaluations to compare"
            f" between iteration {request.first_adversarial}, when adversarial data enter, and the"
            " end"
        )
    return None
