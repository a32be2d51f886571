"""An audit: a model, clips and attacks become rows, a result, and what can be looked at.

What is scored is kept as it comes (`workers.audits.record`). An attempt that follows a killed one
takes it over and scores the rest: on one CPU it ends with the very rows of an audit that was never
interrupted.
"""

import platform
import shutil
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
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
from app.audits.report import Deviations, Environment, Report, ReportedModel
from app.audits.result import AuditResult, BeforeAfter
from app.audits.rows import write_index
from app.audits.schemas import AnyAuditRequest, UploadedAuditRequest
from app.audits.victim import count_windows
from app.comparisons import reading
from app.comparisons import service as comparisons
from app.errors import ServalError
from app.jobs.attempts import Attempt
from app.jobs.service import Submission
from app.jobs.tables import Job
from app.persistence.database import now
from app.registry.service import Entry
from models.audit import Audit
from models.audit.comparison import IncomparableError
from models.audit.forecast import Forecast, forecast
from models.audit.measures import BREAKDOWNS, MEASURES
from models.audit.measures.gaps import GroupTable
from models.audit.scale import scale
from models.checkpoint import ModelConfig
from workers.audits import artifacts, detector, findings, shards
from workers.audits.clips import AuditClips, ClipsDigest
from workers.audits.judged import judge_result
from workers.audits.materials import materials
from workers.audits.pacing import Pacing
from workers.audits.probe import SilenceCounter
from workers.audits.record import Record
from workers.audits.scored import AuditAttempt, Scored, clips_shown
from workers.audits.scoring import Scoring
from workers.audits.setup import Setup, group_by, set_up
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
    setup = set_up(context, attempt)
    request, entry, clips, audit = setup.request, setup.entry, setup.clips, setup.audit
    detector.pin(context.checkpoint_dir(attempt.job_id), entry, setup.detector_sha256)
    for warning in clips.warnings:
        _warn(attempt, warning)
    expected = _forecast(audit, clips)
    watchdog.event("forecast", expected.to_dict())
    job = AuditAttempt(context, attempt, watchdog, setup, expected, clock)
    scored = shards.score(job) if shards.is_worth_it(job) else _score_alone(job)
    _tell_of_time(scored, attempt, request)
    silence, digest = SilenceCounter(), ClipsDigest(clips)
    result = _result(scored, audit, clips, expected, watchdog, silence, digest)
    with context.storage.staging() as staged:
        folder = staged / "findings"
        folder.mkdir()
        shutil.copyfile(scored.record.path / files.ROWS, folder / files.ROWS)
        write_index(folder / files.ROWS)
        made = artifacts.make(
            audit, scored, clips, entry, result, folder / files.ARTIFACTS,
            save=request.save_adversarial, settings=context.settings, watchdog=watchdog,
            pictures=pictures,
        )  # fmt: skip
        judge_result(result, setup, scored, silence, folder / files.ARTIFACTS)
        for warning in findings.warnings(result):
            _warn(attempt, warning)
        harden = None if isinstance(request, UploadedAuditRequest) else request.harden
        if harden is not None:
            result.hardening = hardening.verdict(harden, result)
        result.comparison = _before_after(context, attempt, result, folder / files.ROWS)
        scored.finish(complete=result.complete)
        files.write_artifacts(folder, made.artifacts)
        used = materials(setup, context.settings.audit_batch, watchdog)
        (folder / files.MATERIALS).write_text(used.model_dump_json(indent=1), encoding="utf-8")
        report = _report(
            attempt, setup, digest, result, made, scored.summary.groups,
        )  # fmt: skip
        (folder / files.REPORT).write_text(report.model_dump_json(indent=1), encoding="utf-8")
        _publish(context, attempt, folder)
    return _outcome(context, attempt, request, entry, result)


def _forecast(audit: Audit, clips: AuditClips) -> Forecast:
    windows = count_windows(audit.victim, (one.duration_s for one in clips.known))
    return forecast(audit.attacks, windows, len(clips), audit.victim, audit.batch)


def _score_alone(job: AuditAttempt) -> Scored:
    """Score what is not scored yet, or as much of it as there is time for, in one piece."""
    attempt, watchdog, setup = job.attempt, job.watchdog, job.setup
    record = Record(
        job.context.checkpoint_dir(attempt.job_id),
        attempt.number,
        job.context.settings.audit_batch,
        range(len(setup.clips)),
    )
    pacing = Pacing(
        watchdog, job.expected.cost, job.expected.pace, setup.request.max_seconds, record.elapsed,
        job.clock,
    )  # fmt: skip
    setup.audit.on_pass = pacing
    scoring = Scoring(
        setup.audit, record, clips_shown(job.context, setup.request), pacing, watchdog.event,
        lambda text: _warn(attempt, text), group_by=group_by(setup.request),
    )  # fmt: skip
    in_time = scoring.run_in_time()
    return Scored(
        scoring.summary, record, scoring.shown, scoring.broken, scoring.done, in_time, pacing.finish
    )


def _tell_of_time(scored: Scored, attempt: Attempt, request: AnyAuditRequest) -> None:
    """Tell the owner of an audit that had not the time for everything.

    Raises:
        JobFailed: there was time for nothing (code ``out_of_time``).
    """
    if scored.in_time:
        return
    if not scored.clips:
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
    scored: Scored,
    audit: Audit,
    clips: AuditClips,
    expected: Forecast,
    watchdog: Watchdog,
    silence: SilenceCounter,
    digest: ClipsDigest,
) -> AuditResult:
    def log_mels() -> Iterator[Tensor]:
        for index in range(len(clips)):
            watchdog.check()
            yield audit.victim.front_end(digest.watch(index, clips.log_mels(index)))

    found = scored.summary.result(
        of=len(clips),
        scale=scale(silence.watch(log_mels()), audit.victim.standardizer),
        seconds=scored.record.seconds,
    )
    return AuditResult(
        **found.model_dump(),
        forecast=expected.to_dict(),
        windows=audit.victim.windows,
        precision="float32" if audit.victim.exact else "tf32",
    )


def _before_after(
    context: WorkerContext, attempt: Attempt, result: AuditResult, rows: Path
) -> BeforeAfter | None:
    """Of a hardened model's audit, what has changed; a comparison that cannot be made is told of
    in a warning, and ends no audit."""

    def find() -> Job | None:
        with context.sessions() as session:
            return hardening.audit_before(session, attempt.job_id)

    before = retry_while_database_is_away(find)
    if before is None:
        return None
    try:
        after = reading.outcomes(attempt.job_id, result, reading.read_rows(rows))
        return comparisons.before_after(
            before, context.storage, after, result.evidence, partial(_warn, attempt)
        )
    except (IncomparableError, ServalError, OSError) as error:
        log.warning("no comparison with the audit before", reason=str(error))
        reason = str(error) if isinstance(error, IncomparableError) else "its rows are gone"
        _warn(
            attempt,
            f"What hardening has changed cannot be said, because {before.id} cannot be compared"
            f" with this audit: {reason}.",
        )
        return None


def _report(
    attempt: Attempt,
    setup: Setup,
    digest: ClipsDigest,
    result: AuditResult,
    made: artifacts.Made,
    groups: Sequence[GroupTable],
) -> Report:
    """All that is needed to do the audit again, and to see that it is the same one."""
    entry, config, device = setup.entry, setup.entry.config, setup.audit.victim.device
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
            deviations=_deviations(config),
            detector_sha256=setup.detector_sha256,
        ),
        clips=setup.clips.description.model_copy(update={"sha256": digest.sha256}),
        result=result,
        groups=list(groups),
        warnings=retry_while_database_is_away(attempt.warnings),
        measures={name: one.version for name, one in sorted((MEASURES | BREAKDOWNS).items())},
        exhibits=made.exhibits,
        artifacts=made.artifacts,
        environment=Environment(
            serval=app.__version__,
            python=platform.python_version(),
            torch=torch.__version__,
            numpy=np.__version__,
            device=torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
            threads=torch.get_num_threads(),
        ),
    )


def _deviations(config: ModelConfig) -> Deviations:
    loudest = max(range(len(config.mean)), key=config.mean.__getitem__)
    return Deviations(
        loudest=config.std[loudest],
        lowest=min(config.std),
        median=statistics.median(config.std),
        highest=max(config.std),
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
