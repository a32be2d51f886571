"""An audit: a model, clips and attacks become rows, a result, and what can be looked at.

What is scored is kept as it comes (`workers.audits.record`). An attempt that follows a killed one
takes it over and scores the rest: on one CPU it ends with the very rows of an audit that was never
interrupted.
"""

import platform
import shutil
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import structlog
import torch
from sqlalchemy.orm import Session
from torch import Tensor

import app
from app.audits import files, hardening
from app.audits.report import Environment, Report, ReportedModel
from app.audits.result import AuditResult
from app.audits.rows import write_index
from app.audits.schemas import AnyAuditRequest, UploadedAuditRequest, parse_request
from app.audits.victim import batch_size, count_windows, load_victim
from app.errors import ServalError
from app.jobs.attempts import Attempt
from app.jobs.service import Submission
from app.persistence.database import now
from app.registry import service as registry
from app.registry.service import Entry
from models.audit import Audit, Summary
from models.audit.forecast import Forecast, forecast
from models.audit.scale import scale
from workers.audits import artifacts, findings
from workers.audits.clips import AuditClips, from_corpus, from_uploads
from workers.audits.pacing import OutOfTime, Pacing
from workers.audits.record import Record
from workers.audits.scoring import Scoring
from workers.runtime.context import WorkerContext
from workers.runtime.outcome import JobFailed, JobResult
from workers.runtime.progress import Watchdog
from workers.runtime.retries import retry_while_database_is_away

log = structlog.get_logger("workers.audits")


def perform(
    context: WorkerContext,
    attempt: Attempt,
    watchdog: Watchdog,
    *,
    pictures: artifacts.Pictures = artifacts.DRAWN,
    clock: Callable[[], float] = time.monotonic,
) -> JobResult:
    """Audit; goes on where an earlier attempt ended.

    Args:
        pictures: what draws them.
        clock: seconds, for the audit's ``max_seconds``.

    Raises:
        Stopped: the worker is to stop; what is scored is saved.
        ServalError, AuditError, CorpusError, JobFailed: the request cannot be fulfilled.
    """
    request = parse_request(attempt.request)
    entry = retry_while_database_is_away(lambda: _find(context, attempt, request.model))
    clips = _clips(context, attempt, request, entry)
    for warning in clips.warnings:
        _warn(attempt, warning)
    _check_recordings(request, clips)
    audit = _audit(context, attempt, request, entry, clips)
    expected = _forecast(audit, clips)
    watchdog.event("forecast", expected.to_dict())
    settings = context.settings
    folder = context.checkpoint_dir(attempt.job_id)
    record = Record(folder, attempt.number, settings.audit_batch, len(clips))
    pacing = Pacing(
        watchdog, expected.cost, expected.pace, request.max_seconds, record.elapsed, clock
    )
    audit.on_pass = pacing
    shown = settings.max_saved_clips if request.save_adversarial else artifacts.MOST_PICTURES
    scoring = Scoring(audit, record, shown, pacing, watchdog, lambda text: _warn(attempt, text))
    _score(scoring, attempt, request)
    result = _result(scoring.summary, audit, record, clips, expected, watchdog)
    for warning in findings.warnings(result):
        _warn(attempt, warning)
    harden = None if isinstance(request, UploadedAuditRequest) else request.harden
    if harden is not None:
        result.hardening = hardening.verdict(harden, result)
    with context.storage.staging() as staged:
        folder = staged / "findings"
        folder.mkdir()
        shutil.copyfile(record.path / files.ROWS, folder / files.ROWS)
        write_index(folder / files.ROWS)
        made = artifacts.make(
            audit, record, scoring.shown, clips, entry, result, folder / files.ARTIFACTS,
            save=request.save_adversarial, settings=settings, watchdog=watchdog, pictures=pictures,
        )  # fmt: skip
        pacing.finish(complete=result.complete)
        files.write_artifacts(folder, made)
        report = _report(attempt, entry, clips, result, made, audit.victim.device)
        (folder / files.REPORT).write_text(report.model_dump_json(indent=1), encoding="utf-8")
        _publish(context, attempt, folder)
    return _outcome(context, attempt, request, entry, result)


def _find(context: WorkerContext, attempt: Attempt, model: str) -> Entry:
    with context.sessions() as session:
        return registry.get(session, context.storage, model, owner=attempt.owner)


def _clips(
    context: WorkerContext, attempt: Attempt, request: AnyAuditRequest, entry: Entry
) -> AuditClips:
    if isinstance(request, UploadedAuditRequest):
        return from_uploads(files.inputs_dir(context.storage, attempt.job_id))

    def select() -> AuditClips:
        with context.sessions() as session:
            return from_corpus(
                session, context.storage, request, entry.config.labels, owner=attempt.owner
            )

    return retry_while_database_is_away(select)


def _check_recordings(request: AnyAuditRequest, clips: AuditClips) -> None:
    """They were at hand when the audit was accepted."""
    if not clips.audible and any(one.domain == "waveform" for one in request.attacks):
        raise JobFailed(
            "no_recordings",
            "The recordings of the corpus are not at hand any more, and an attack changes"
            " waveforms. Upload the corpus again, or attack its features.",
        )


def _audit(
    context: WorkerContext,
    attempt: Attempt,
    request: AnyAuditRequest,
    entry: Entry,
    clips: AuditClips,
) -> Audit:
    device = context.device()
    sources = {name for attack in request.attacks for name in attack.sources}
    found = {
        name: retry_while_database_is_away(partial(_find, context, attempt, name))
        for name in sorted(sources)
    }
    return Audit(
        load_victim(entry, request, device),
        clips,
        request.attacks,
        seed=request.seed,
        batch=batch_size(context.settings, entry.config.frames),
        others={name: load_victim(one, request, device) for name, one in found.items()},
    )


def _forecast(audit: Audit, clips: AuditClips) -> Forecast:
    windows = count_windows(audit.victim, (one.duration_s for one in clips.known))
    return forecast(audit.attacks, windows, len(clips), audit.victim, audit.batch)


def _score(scoring: Scoring, attempt: Attempt, request: AnyAuditRequest) -> None:
    """Score what is not scored yet, or as much of it as there is time for.

    Raises:
        JobFailed: there was time for nothing (code ``out_of_time``).
    """
    try:
        scoring.run()
    except OutOfTime:
        scoring.keep_partial()
    else:
        return
    if not scoring.done:
        raise JobFailed(
            "out_of_time",
            f"max_seconds ({request.max_seconds:g}) was over before a clip was scored. Give more"
            " of them, or fewer steps, restarts or queries.",
        )
    _warn(
        attempt,
        f"The audit ended after max_seconds ({request.max_seconds:g}), before everything was"
        " scored: at each point of the curve `n` says how many clips were, `of` how many there"
        " are.",
    )


def _result(
    summary: Summary,
    audit: Audit,
    record: Record,
    clips: AuditClips,
    expected: Forecast,
    watchdog: Watchdog,
) -> AuditResult:
    def log_mels() -> Iterator[Tensor]:
        for index in range(len(clips)):
            watchdog.check()
            yield clips.log_mels(index)

    found = summary.result(
        of=len(clips),
        scale=scale(log_mels(), audit.victim.standardizer),
        seconds=record.seconds,
    )
    return AuditResult(
        **found.model_dump(),
        forecast=expected.to_dict(),
        windows=audit.victim.windows,
        precision="float32" if audit.victim.exact else "tf32",
    )


def _report(
    attempt: Attempt,
    entry: Entry,
    clips: AuditClips,
    result: AuditResult,
    artifacts: list[files.ArtifactFile],
    device: torch.device,
) -> Report:
    """All that is needed to do the audit again, and to see that it is the same one."""
    config = entry.config
    return Report(
        audit=attempt.job_id,
        created_at=now().isoformat(timespec="seconds").replace("+00:00", "Z"),
        request=attempt.request,
        model=ReportedModel(
            id=entry.id,
            name=entry.name,
            sha256=entry.sha256,
            architecture=config.architecture,
            labels=list(config.labels),
            frames=config.frames,
            front_end=config.front_end,
            defense=config.defense,
            training=config.training,
        ),
        clips=clips.description,
        result=result,
        artifacts=artifacts,
        environment=Environment(
            serval=app.__version__,
            python=platform.python_version(),
            torch=torch.__version__,
            numpy=np.__version__,
            device=torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
            threads=torch.get_num_threads(),
        ),
    )


def _publish(context: WorkerContext, attempt: Attempt, folder: Path) -> None:
    """Make the findings appear whole, and remove those of attempts that never succeeded."""
    final = files.attempt_dir(context.storage, attempt.job_id, attempt.number)
    context.storage.publish(folder, final)
    for path in final.parent.glob("attempt-*"):
        if path.name < final.name:
            context.storage.remove(path)


def _outcome(
    context: WorkerContext,
    attempt: Attempt,
    request: AnyAuditRequest,
    entry: Entry,
    result: AuditResult,
) -> JobResult:
    """The result; if the model is too weak, with the training that is to harden it."""
    told = result.model_dump(mode="json", exclude_none=False)
    found = result.hardening
    if isinstance(request, UploadedAuditRequest) or request.harden is None or found is None:
        return JobResult(told)
    if not found.triggered:
        return JobResult(told)
    training = hardening.training(request, request.harden, entry.config)

    def prepare() -> Submission:
        with context.sessions() as session:
            return hardening.submission(
                session, context.storage, context.settings, training,
                owner=attempt.owner, audit_id=attempt.job_id,
            )  # fmt: skip

    try:
        submission = retry_while_database_is_away(prepare)
    except ServalError as error:
        _warn(attempt, f"The model is too weak, but no training was queued: {error.detail}")
        return JobResult(told)

    def publish(session: Session) -> dict[str, Any]:
        return hardening.start(session, submission, found)

    return JobResult(told, publish)


def _warn(attempt: Attempt, text: str) -> None:
    retry_while_database_is_away(lambda: attempt.warn(text))
