"""Audits as the API sees them: what is checked before one is queued, and what one has found."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, Final

from sqlalchemy.orm import Session

from app.audits import files, fit, hardening
from app.audits.files import Input
from app.audits.schemas import AuditRequest, UploadedAuditRequest
from app.corpora import service as corpora
from app.corpora.tables import Corpus
from app.errors import Conflict, FieldProblem, Invalid, NotFound, shown
from app.jobs import service as jobs
from app.jobs.service import Submission
from app.jobs.services import Services
from app.jobs.states import JobKind, JobStatus
from app.jobs.tables import Job
from app.persistence.storage import Storage
from app.registry import service as registry
from app.registry.service import Entry
from app.settings import Settings
from models.audio import AudioError, decode

MAX_NAME: Final = 200
MOST_NAMED: Final = 10
"""Of the uploaded clips that are refused: enough to see the pattern of a mistake."""


@dataclass(frozen=True)
class Upload:
    """A file of a form: the name it came with, and what is in it."""

    name: str
    file: BinaryIO


def create(
    session: Session,
    services: Services,
    request: AuditRequest,
    *,
    owner: str,
    idempotency_key: str | None = None,
) -> Job:
    """Queue an audit of a model on a corpus.

    Raises:
        NotFound: there is no such model or corpus, or it is another key's.
        Invalid: the two do not fit, or `harden` asks for what cannot be trained.
        Unavailable: the queue is away; nothing is left behind.
    """
    asked = _asked(request, request.to_request(), owner=owner, idempotency_key=idempotency_key)
    replayed = jobs.replay(session, asked)
    if replayed is not None:
        return replayed
    wanted = _checked(session, services, request, asked)
    return jobs.accept(session, services.queue, services.storage, wanted)


def _asked(
    request: AuditRequest | UploadedAuditRequest,
    stored: dict[str, Any],
    *,
    owner: str,
    idempotency_key: str | None,
    digest: str = "",
) -> Submission:
    return Submission(
        kind=JobKind.AUDIT,
        owner=owner,
        request=stored,
        model=request.model,
        metadata=request.metadata,
        idempotency_key=idempotency_key,
        digest=digest,
    )


def _checked(
    session: Session, services: Services, request: AuditRequest, asked: Submission
) -> Submission:
    """What was asked for, with what its owner should know of it.

    Raises:
        NotFound, Invalid: as `create`.
    """
    entry = registry.get(session, services.storage, request.model, owner=asked.owner)
    corpus = corpora.get(session, request.corpus, owner=asked.owner)
    _check_fit(entry, corpus, request, services.settings)
    if request.harden is not None:
        hardening.check(
            session, services.storage, services.settings, request, request.harden, entry.config,
            owner=asked.owner,
        )  # fmt: skip

    def lock_for_share(session: Session) -> None:
        registry.lock_for_share(session, entry)
        corpora.lock_for_share(session, corpus.id)

    warnings = fit.warnings(services.storage, entry.config, corpus, request)
    return replace(asked, warnings=warnings, lock_for_share=lock_for_share)


def _check_fit(entry: Entry, corpus: Corpus, request: AuditRequest, settings: Settings) -> None:
    """Clips of emotions that the model does not know are left out: it could not be right on them.

    Raises:
        Invalid: the model and the corpus do not go together.
    """
    classes = _classes(corpus, request.partition)
    known = classes.keys() - fit.unknown_labels(entry.config, classes).keys()
    if not known:
        raise Invalid.of(
            "model",
            entry.id,
            f"it knows {', '.join(entry.config.labels)}, and {request.partition} of the corpus has"
            f" none of these but {', '.join(classes)}",
            "choose a model and a corpus with emotions in common",
            code="no_common_emotions",
        )
    clips = sum(classes[name] for name in known)
    _check_size(entry, request, min(clips, request.limit or clips), settings)


def _check_size(
    entry: Entry, request: AuditRequest | UploadedAuditRequest, clips: int, settings: Settings
) -> None:
    """Refuse an audit whose rows would fill the disk."""
    strengths = 1 + sum(len(attack.epsilon) for attack in request.attacks)
    scores = clips * len(entry.config.labels) * strengths
    if scores > settings.max_audit_scores:
        raise Invalid.of(
            "attacks",
            f"{strengths - 1} strengths",
            f"with {clips} clips and {len(entry.config.labels)} labels these are {scores} scores,"
            f" more than the {settings.max_audit_scores} that this service allows",
            "give a limit, or fewer strengths",
            code="too_many_scores",
        )


def _classes(corpus: Corpus, partition: str) -> dict[str, int]:
    """Clips of each emotion in a partition."""
    if partition == "all":
        return dict(corpus.classes)
    if partition not in corpus.partitions:
        raise Invalid.of(
            "partition",
            partition,
            "the corpus has no such partition",
            f"give one of {', '.join([*corpus.partitions, 'all'])}",
            code="unknown_split",
        )
    return dict(corpus.partitions[partition]["classes"])


def create_uploaded(
    session: Session,
    services: Services,
    request: UploadedAuditRequest,
    uploads: Sequence[Upload],
    *,
    owner: str,
    idempotency_key: str | None = None,
) -> Job:
    """Queue an audit of a model on uploaded clips. They are decoded once, to refuse bad ones now.

    Raises:
        NotFound: there is no such model, or it is another key's.
        Invalid: labels do not fit, or clips are not accepted, each named.
        Unavailable: the queue is away; nothing is left behind.
    """
    labels = [None] * len(uploads) if request.labels is None else request.labels
    names = [_name(upload.name, number) for number, upload in enumerate(uploads)]
    asked = _asked(
        request,
        request.to_request() | {"labels": labels},
        owner=owner,
        idempotency_key=idempotency_key,
        digest=_digest(uploads, names),
    )
    replayed = jobs.replay(session, asked)
    if replayed is not None:
        return replayed
    entry = registry.get(session, services.storage, request.model, owner=owner)
    _check_labels(labels, uploads, entry, services.settings)
    _check_size(entry, request, len(uploads), services.settings)
    session.rollback()  # no connection is held while clips are decoded
    inputs = [Input(name, label) for name, label in zip(names, labels, strict=True)]
    with services.storage.staging() as staged:
        folder = staged / "job" / files.INPUTS
        folder.mkdir(parents=True)
        warnings = _take_in(uploads, inputs, folder, services.settings)
        files.write_inputs(folder, inputs)
        submission = replace(
            asked,
            warnings=[*_about_labels(labels), *warnings],
            staged=staged / "job",
            lock_for_share=lambda session: registry.lock_for_share(session, entry),
        )
        return jobs.accept(session, services.queue, services.storage, submission)


def _digest(uploads: Sequence[Upload], names: Sequence[str]) -> str:
    """The SHA-256 of all files with their names: an upload that was seen before is known by it."""
    digest = hashlib.sha256()
    for upload, name in zip(uploads, names, strict=True):
        digest.update(hashlib.sha256(upload.file.read()).digest() + name.encode())
        upload.file.seek(0)
    return digest.hexdigest()


def _check_labels(
    labels: Sequence[str | None], uploads: Sequence[Upload], entry: Entry, settings: Settings
) -> None:
    """Return if there is one label, or None, for each file.

    Raises:
        Invalid: there are no files or too many, as many labels as files there are not, or a label
            is not one of the model's.
    """
    most = settings.max_audit_files
    if not 1 <= len(uploads) <= most:
        raise Invalid.of(
            "file",
            f"{len(uploads)} files",
            f"an audit takes 1 to {most}",
            "send each clip as a part named file (curl: -F file=@a.wav -F file=@b.wav)",
            code="wrong_number_of_files",
        )
    if len(labels) != len(uploads):
        raise Invalid.of(
            "labels",
            f"{len(labels)} labels",
            f"there are {len(uploads)} files",
            "give one label a file, in their order, null where it is not known",
            code="wrong_number_of_labels",
        )
    known = entry.config.labels
    wrong = [
        (n, label) for n, label in enumerate(labels) if label is not None and label not in known
    ]
    if wrong:
        remedy = f"give one of {', '.join(known)}, or null"
        problems = [
            FieldProblem.of(f"labels.{n}", label, "the model does not know it", remedy)
            for n, label in wrong[:MOST_NAMED]
        ]
        raise Invalid(
            f"labels.{wrong[0][0]} {shown(wrong[0][1])}: the model does not know it: {remedy}.",
            code="unknown_label",
            errors=problems,
        )


def _take_in(
    uploads: Sequence[Upload], inputs: Sequence[Input], folder: Path, settings: Settings
) -> list[str]:
    """Decode every clip and keep its bytes.

    Returns:
        What the owner should know of them.

    Raises:
        Invalid: naming the clips that are not accepted, with their places.
    """
    problems: list[FieldProblem] = []
    codes: list[str] = []
    warnings: dict[str, list[str]] = {}
    for number, (upload, known) in enumerate(zip(uploads, inputs, strict=True)):
        data = upload.file.read()
        try:
            waveform = decode(data, max_seconds=settings.max_clip_seconds)
        except AudioError as error:
            problems.append(FieldProblem.of(f"file.{number}", known.name, str(error), None))
            codes.append(error.code)
            continue
        for warning in waveform.warnings:
            warnings.setdefault(warning, []).append(known.name)
        files.input_path(folder, number).write_bytes(data)
    if problems:
        first = problems[0]
        more = f" {len(problems) - 1} more are not accepted either." if len(problems) > 1 else ""
        raise Invalid(
            f"File {first.field.removeprefix('file.')} ({first.value}), counted from 0:"
            f" {first.message}{more}",
            code=codes[0],
            errors=problems[:MOST_NAMED],
        )
    return [_of(names, warning) for warning, names in warnings.items()]


def _of(names: Sequence[str], warning: str) -> str:
    shown_names = ", ".join(shown(name) for name in names[:3])
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{shown_names}{more}: {warning}"


def _about_labels(labels: Sequence[str | None]) -> list[str]:
    without = sum(label is None for label in labels)
    if not without:
        return []
    if without == len(labels):
        text = (
            "No clip has a label: the model's own predictions are attacked, a success is a changed"
            " prediction, and UAR is not reported."
        )
    else:
        text = (
            f"{without} of {len(labels)} clips have no label. The figures are those of the others;"
            " these stand under `unlabelled`: attacked at the model's own prediction, and how many"
            " predictions changed."
        )
    return [text]


def _name(raw: str, number: int) -> str:
    """A file name as it may be shown: one printable line."""
    text = "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode("ascii")
        for letter in raw[:MAX_NAME]
    )
    return text or f"file {number}"


def findings(session: Session, storage: Storage, audit_id: str, *, owner: str) -> tuple[Job, Path]:
    """A finished audit and the folder of what it has found; see `app.audits.files`.

    Raises:
        NotFound: there is no such audit, it is another key's, or its files are gone.
        Conflict: it has not succeeded.
    """
    job = jobs.get(session, audit_id, owner=owner, kind=JobKind.AUDIT)
    if job.status is not JobStatus.SUCCEEDED:
        advice = (
            "It will have none: see its `error`."
            if job.status.terminal
            else "Wait for it (Prefer: wait=30) and ask again."
        )
        raise Conflict(
            f"{audit_id} is {job.status} and has no results. {advice}", code="no_results"
        )
    folder = files.attempt_dir(storage, job.id, job.attempt)
    if not folder.is_dir():
        raise NotFound(f"The files of {audit_id} were removed; the job has its result still.")
    return job, folder


def artifact(folder: Path, name: str) -> tuple[dict[str, Any], Path]:
    """What is known of an artifact, and its file.

    Raises:
        NotFound: the audit made none of this name.
    """
    known = files.read_artifacts(folder) if files.is_artifact(name) else []
    for one in known:
        if one["name"] == name:
            return one, folder / files.ARTIFACTS / one["name"]
    raise NotFound(f"The audit made no artifact {shown(name)}. GET its artifacts for a list.")
