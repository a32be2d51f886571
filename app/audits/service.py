"""Audits as the API sees them: what is checked before one is queued, and what one has found."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, Final

from sqlalchemy.orm import Session

from app.access.allowance import Allowance
from app.audits import acceptance, files, fit
from app.audits.files import Input
from app.audits.report import SCHEMA_VERSION, Report
from app.audits.result import AuditResult
from app.audits.schemas import AuditRequest, UploadedAuditRequest
from app.corpora import noises
from app.corpora import service as corpora
from app.errors import Conflict, FieldProblem, Gone, Invalid, NotFound, shown
from app.jobs import retention
from app.jobs import service as jobs
from app.jobs.service import Submission
from app.jobs.services import Services
from app.jobs.states import JobKind, JobStatus
from app.jobs.tables import Job
from app.persistence.storage import Storage
from app.registry import service as registry
from app.registry.service import Entry
from app.settings import Settings
from models.audio import SEVERAL, AudioError, Condition, decode
from models.checkpoint import ModelConfig
from models.features import SAMPLE_RATE

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
    most = Allowance.of(services.settings)
    return jobs.accept(session, services.queue, services.storage, wanted, most)


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
    accepted = acceptance.check(
        session, services.storage, services.settings, request, owner=asked.owner
    )
    entry, corpus = accepted.entry, accepted.corpus

    def lock_for_share(session: Session) -> None:
        for model in (entry, *accepted.sources):
            registry.lock_for_share(session, model)
        for one in (corpus, *accepted.noises):
            corpora.lock_for_share(session, one.id)

    warnings = fit.warnings(services.storage, entry.config, corpus, request)
    return replace(asked, warnings=warnings, lock_for_share=lock_for_share)


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
        Invalid: labels do not fit, a corpus of noises is not there, or clips are not accepted, each
            named.
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
    acceptance.check_size(entry, request, len(uploads), services.settings)
    sources = acceptance.check_attacks(
        session, services.storage, entry, request, labels, owner=owner
    )
    taken = noises.check(session, services.storage, request.corruptions, "corruptions", owner=owner)

    def lock_for_share(session: Session) -> None:
        for model in (entry, *sources):
            registry.lock_for_share(session, model)
        for corpus in taken:
            corpora.lock_for_share(session, corpus.id)

    session.rollback()  # no connection is held while clips are decoded
    with services.storage.staging() as staged:
        folder = staged / "job" / files.INPUTS
        folder.mkdir(parents=True)
        seconds, warnings = _take_in(uploads, names, folder, services.settings, entry.config)
        known = zip(names, labels, seconds, strict=True)
        files.write_inputs(folder, [Input(*one) for one in known])
        submission = replace(
            asked,
            warnings=[*_about_labels(labels), *warnings],
            staged=staged / "job",
            lock_for_share=lock_for_share,
        )
        most = Allowance.of(services.settings)
        return jobs.accept(session, services.queue, services.storage, submission, most)


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
    uploads: Sequence[Upload],
    names: Sequence[str],
    folder: Path,
    settings: Settings,
    config: ModelConfig,
) -> tuple[list[float], list[str]]:
    """Decode every clip and keep its bytes.

    Returns:
        How long each is, in seconds, and what the owner should know of them.

    Raises:
        Invalid: naming the clips that are not accepted, with their places.
    """
    problems: list[FieldProblem] = []
    codes: list[str] = []
    seconds: list[float] = []
    warnings: dict[str, list[str]] = {}
    for number, (upload, name) in enumerate(zip(uploads, names, strict=True)):
        data = upload.file.read()
        try:
            waveform = decode(data, max_seconds=settings.max_clip_seconds)
        except AudioError as error:
            problems.append(FieldProblem.of(f"file.{number}", name, str(error), None))
            codes.append(error.code)
            continue
        seconds.append(round(len(waveform.samples) / SAMPLE_RATE, 3))
        for code in Condition.of(waveform).codes(config.levels_dbfs):
            warnings.setdefault(SEVERAL[code], []).append(name)
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
    return seconds, [_of(some, warning) for warning, some in warnings.items()]


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
    folder = storage.published(files.attempt_dir(storage, job.id, job.attempt))
    if not folder.is_dir():
        raise NotFound(f"The files of {audit_id} were removed; the job has its result still.")
    return job, folder


def report(folder: Path, job: Job) -> Report:
    """The report, in today's shape. What an audit has caused, and what its owner was told of it,
    stands in its row, which learns of both later."""
    found = Report.model_validate_json((folder / files.REPORT).read_bytes())
    found.result.hardening = AuditResult.model_validate(job.result).hardening
    found.warnings = list(job.warnings)
    found.schema_version = SCHEMA_VERSION
    return found


def artifact(folder: Path, name: str, job: Job) -> tuple[files.ArtifactFile, Path]:
    """What is known of an artifact, and its file.

    Raises:
        NotFound: the audit made none of this name.
        Gone: it was a recording, and the time for which those are kept is over.
    """
    known = files.read_artifacts(folder) if files.is_artifact(name) else []
    for one in known:
        if one.name == name:
            if job.audio_expired_at is not None and files.is_audio(name):
                raise Gone(
                    f"The recordings of {job.id} were removed on"
                    f" {job.audio_expired_at:%Y-%m-%d at %H:%M} UTC, when their time was over"
                    f" ({retention.AUDIO}). Its result, rows, report and pictures are there still.",
                    code="artifact_expired",
                )
            return one, folder / files.ARTIFACTS / one.name
    raise NotFound(f"The audit made no artifact {shown(name)}. GET its artifacts for a list.")
