"""An audit: a model, clips and attacks become rows, a result, and what can be looked at.

The rows are written as they come. An attempt that follows a killed one takes over its whole batches
and scores the rest: on one CPU it ends with the very rows of an audit that was never interrupted.
"""

import json
import platform
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import structlog
import torch
from sqlalchemy.orm import Session

import app
from app.audits import files, hardening
from app.audits.rows import RowFormat, line, write_index
from app.audits.schemas import AuditRequest, UploadedAuditRequest
from app.errors import ServalError
from app.jobs.attempts import Attempt
from app.jobs.service import Submission
from app.persistence.database import now
from app.registry import service as registry
from app.registry.service import Entry
from models.audit import Audit, Row, summarize
from models.scale import scale
from workers.audits import exhibits
from workers.audits.clips import Clips, from_corpus, from_uploads
from workers.runtime.context import WorkerContext
from workers.runtime.outcome import JobResult
from workers.runtime.progress import Watchdog
from workers.runtime.retries import retry_while_database_is_away

log = structlog.get_logger("workers.audits")

Request = AuditRequest | UploadedAuditRequest
LIKE: Final = (0.5, 2.0)
"""Of `scale`, the median band: CREMA-D's starters find 1.05 in CREMA-D, 1.25 in EMO-DB, and .7
in a single clip."""
BANDS_LIKE: Final = (0.1, 10.0)
"""All of them: those find .23 in a band of a single clip, and 3.3 in EMO-DB's lowest bands."""
TOLD: Final = 20
"""News of an audit, `scored` events: each is a row, and progress is told anyway."""


def perform(context: WorkerContext, attempt: Attempt, watchdog: Watchdog) -> JobResult:
    """Audit; goes on where an earlier attempt ended.

    Raises:
        Stopped: the worker is to stop; the rows are saved.
        ServalError, AuditError, CorpusError, JobFailed: the request cannot be fulfilled.
    """
    request = _request(attempt)
    entry = retry_while_database_is_away(lambda: _find(context, attempt, request))
    clips = _clips(context, attempt, request, entry, watchdog)
    for warning in clips.warnings:
        _warn(attempt, warning)
    device = context.device()
    audit = Audit(
        registry.load_entry(entry).to(device),
        entry.config.standardizer.to(device),
        clips.data,
        request.to_attacks(),
        entry.config.frames,
        context.settings.audit_batch,
        clips.waveforms,
    )
    record = Record(
        context.checkpoint_dir(attempt.job_id),
        attempt.number,
        RowFormat(entry.config.labels, audit.attacks),
    )
    rows = score(audit, clips.names, record, watchdog)
    result = summarize(rows, entry.config.labels, audit.attacks)
    result["scale"] = scale(clips.data, audit.standardizer).to_dict()
    for warning in [*about_gradients(result), *about_scale(result)]:
        _warn(attempt, warning)
    harden = None if isinstance(request, UploadedAuditRequest) else request.harden
    if harden is not None:
        result["hardening"] = hardening.verdict(harden, result["curve"])
    with context.storage.staging() as staged:
        folder = staged / "findings"
        folder.mkdir()
        shutil.copyfile(record.path, folder / files.ROWS)
        write_index(folder / files.ROWS)
        made = exhibits.make(
            audit, rows, clips, entry, result, folder / files.ARTIFACTS,
            save=request.save_adversarial, settings=context.settings, watch=watchdog,
        )  # fmt: skip
        files.write_artifacts(folder, made)
        _write_report(folder, attempt, entry, clips, result, made, device)
        _publish(context, attempt, folder)
    return _outcome(context, attempt, request, entry, result)


def _request(attempt: Attempt) -> Request:
    if "corpus" in attempt.request:
        return AuditRequest.model_validate(attempt.request)
    return UploadedAuditRequest.model_validate(attempt.request)


def _find(context: WorkerContext, attempt: Attempt, request: Request) -> Entry:
    with context.sessions() as session:
        return registry.get(session, context.storage, request.model, owner=attempt.owner)


def _clips(
    context: WorkerContext, attempt: Attempt, request: Request, entry: Entry, watchdog: Watchdog
) -> Clips:
    config = entry.config
    if isinstance(request, UploadedAuditRequest):
        folder = files.inputs_dir(context.storage, attempt.job_id)
        return from_uploads(folder, config.labels, config.frames, watchdog)

    def select() -> Clips:
        with context.sessions() as session:
            return from_corpus(
                session, context.storage, request, config.labels, config.frames,
                owner=attempt.owner,
            )  # fmt: skip

    return retry_while_database_is_away(select)


class Record:
    """The rows that the attempts of one audit have written, one file an attempt.

    Each attempt writes its own file: one that was taken for dead and is not cannot spoil another's.
    """

    def __init__(self, folder: Path, attempt: int, row_format: RowFormat) -> None:
        self._folder = folder
        self._format = row_format
        self.path = folder / f"rows-{attempt:04d}.jsonl"

    def resume(self, batch_size: int) -> list[Row]:
        """Take over the whole batches that the attempt before has written, if there was one."""
        self._folder.mkdir(parents=True, exist_ok=True)
        earlier = sorted(path for path in self._folder.glob("rows-*.jsonl") if path != self.path)
        rows: list[Row] = []
        lines: list[bytes] = []
        for path in reversed(earlier):
            lines = path.read_bytes().splitlines(keepends=True)
            rows = self._whole(lines, batch_size)
            if rows:
                break
        self.path.write_bytes(b"".join(lines[: len(rows)]))
        for path in earlier:
            path.unlink(missing_ok=True)
        return rows

    def _whole(self, lines: Sequence[bytes], batch_size: int) -> list[Row]:
        """The rows of the lines up to the first that is torn, as far as they fill batches."""
        rows: list[Row] = []
        for text in lines:
            try:
                rows.append(self._format.from_json(json.loads(text)))
            except (ValueError, KeyError, TypeError):
                break
        return rows[: len(rows) // batch_size * batch_size]

    def append(self, index: int, names: Sequence[str], rows: Sequence[Row]) -> list[Row]:
        """Write the rows of a batch, and give them as the file has them: rounded."""
        written = [
            self._format.to_json(index + number, name, row)
            for number, (name, row) in enumerate(zip(names, rows, strict=True))
        ]
        with self.path.open("ab") as file:
            file.write(b"".join(line(row) for row in written))
        return [self._format.from_json(row) for row in written]


def score(audit: Audit, names: Sequence[str], record: Record, watchdog: Watchdog) -> list[Row]:
    """The rows of all clips, in their order; those that an earlier attempt scored are kept.

    Raises:
        Stopped: the worker is to stop.
    """
    total = len(names)
    rows = record.resume(audit.batch_size)
    if rows:
        watchdog.event("resumed", {"clips": len(rows)})
    watchdog.progress(len(rows), total, "clips")
    told = len(rows)
    for batch in audit.rows(start=len(rows)):
        watchdog.check()
        done = len(rows)
        rows += record.append(done, names[done : done + len(batch)], batch)
        watchdog.progress(len(rows), total, "clips")
        if len(rows) - told >= max(1, total // TOLD) or len(rows) == total:
            told = len(rows)
            watchdog.event("scored", {"clips": told, "of": total})
    return rows


def about_gradients(result: dict[str, Any]) -> list[str]:
    """What the owner should know of attacks that had no gradient: what looks robust is not."""
    worst = max(result["curve"], key=lambda point: point["no_gradient"])
    if not worst["no_gradient"]:
        return []
    text = (
        f"On {worst['no_gradient']} of {result['n']} clips {worst['attack']} had no gradient to go"
        f" by at ε = {worst['epsilon']:g} (no_gradient in the curve): it was zero or not finite, as"
        " where a model's scores are saturated. Success rates understate how weak the model is,"
        " also those that harden goes by. Divide the weights and the bias of its last layer by"
        " a constant, say 100, which changes no label, and audit that."
    )
    return [text]


def about_scale(result: dict[str, Any]) -> list[str]:
    """What the owner should know of a model that states other deviations than the clips have."""
    lowest, median, highest = (result["scale"][name] for name in ("lowest", "median", "highest"))
    if LIKE[0] <= median <= LIKE[1] and BANDS_LIKE[0] <= lowest and highest <= BANDS_LIKE[1]:
        return []
    text = (
        "An ε counts the deviations of the log-mels that the model's configuration states, and"
        f" these clips deviate by {median:g} of them in the median band, {lowest:g} to"
        f" {highest:g} (scale in the result). The model was trained on speech that varies"
        " otherwise, or states what is not so: do not compare its robustness with that of other"
        " models at the same ε."
    )
    return [text]


def _write_report(
    folder: Path,
    attempt: Attempt,
    entry: Entry,
    clips: Clips,
    result: dict[str, Any],
    artifacts: list[dict[str, Any]],
    device: torch.device,
) -> None:
    """All that is needed to do the audit again, and to see that it is the same one."""
    config = entry.config
    report = {
        "object": "report",
        "audit": attempt.job_id,
        "created_at": now().isoformat(timespec="seconds").replace("+00:00", "Z"),
        "request": attempt.request,
        "model": {
            "id": entry.id,
            "name": entry.name,
            "sha256": entry.sha256,
            "architecture": config.architecture,
            "labels": list(config.labels),
            "frames": config.frames,
            "front_end": config.front_end,
            "defense": config.defense,
            "training": config.training,
        },
        "clips": clips.description,
        "result": result,
        "artifacts": artifacts,
        "environment": {
            "serval": app.__version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": np.__version__,
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
            "threads": torch.get_num_threads(),
        },
    }
    (folder / files.REPORT).write_text(json.dumps(report, indent=1), encoding="utf-8")


def _publish(context: WorkerContext, attempt: Attempt, folder: Path) -> None:
    """Make the findings appear whole, and remove those of attempts that never succeeded."""
    final = files.attempt_dir(context.storage, attempt.job_id, attempt.number)
    context.storage.publish(folder, final)
    for path in final.parent.glob("attempt-*"):
        if path.name < final.name:
            context.storage.remove(path)


def _outcome(
    context: WorkerContext, attempt: Attempt, request: Request, entry: Entry, result: dict[str, Any]
) -> JobResult:
    """The result; if the model is too weak, with the training that is to harden it."""
    if isinstance(request, UploadedAuditRequest) or request.harden is None:
        return JobResult(result)
    found = result["hardening"]
    if not found["triggered"]:
        return JobResult(result)
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
        return JobResult(result)

    def publish(session: Session) -> dict[str, Any]:
        return hardening.start(session, submission, found)

    return JobResult(result, publish)


def _warn(attempt: Attempt, text: str) -> None:
    retry_while_database_is_away(lambda: attempt.warn(text))
