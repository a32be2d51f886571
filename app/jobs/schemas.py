"""The job resource, the same for audits, trainings and studies."""

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from app.jobs.retention import FOR_EVER, Retention
from app.jobs.service import Link
from app.jobs.states import JobKind, kind_of
from app.jobs.states import JobStatus as JobStatus  # noqa: PLC0414  (part of the resource)
from app.jobs.tables import Job as Row
from app.jobs.tables import JobEvent
from app.schemas import Schema, Timestamp


class Progress(Schema):
    """How far a job is, in its own unit."""

    done: float = Field(default=0, examples=[120])
    total: float | None = Field(default=None, examples=[1072])
    unit: str | None = Field(default=None, examples=["clips"])
    eta_seconds: float | None = Field(default=None, examples=[14.2])


class JobError(Schema):
    """Why a job failed."""

    code: str = Field(examples=["too_many_attempts"])
    message: str
    details: dict[str, Any] | None = None


class JobUrls(Schema):
    """Where to go from here. `caused_by` and `caused` link an audit to the training that it asked
    for with `harden`, both to the audit of the new model, and a study to its trainings and audits.
    Of a deleted job nothing is named. Paths count from the service's address."""

    self: str = Field(examples=["/v1/audits/audit_01K9ZQ3W8M4V7T2X6B5N0C1DEF"])
    cancel: str
    events: str
    results: str | None = None
    report: str | None = None
    artifacts: str | None = None
    caused_by: str | None = None
    caused: list[str] = Field(default_factory=list)


class Job(Schema):
    """An audit, a training or a study."""

    id: str = Field(examples=["audit_01K9ZQ3W8M4V7T2X6B5N0C1DEF"])
    object: JobKind
    status: JobStatus
    model: str | None = Field(examples=["cnn4-single-cremad"])
    created_at: Timestamp
    started_at: Timestamp | None
    finished_at: Timestamp | None
    expires_at: Timestamp | None = Field(
        description="When the job is deleted, with its result and files. Null: it is kept, or has"
        " not ended."
    )
    audio_expires_at: Timestamp | None = Field(
        description="When recordings are removed: those that an audit uploaded, and clips as they"
        " were attacked. Null: they are kept, there are none, or they are gone already."
    )
    audio_expired_at: Timestamp | None = Field(description="When they were removed.")
    attempt: int = Field(description="How many times it was started.", examples=[1])
    progress: Progress
    input: dict[str, Any] = Field(description="The request, with every default spelt out.")
    result: dict[str, Any] | None = Field(description="Of a job that has succeeded.")
    error: JobError | None
    warnings: list[str]
    metadata: dict[str, Any]
    urls: JobUrls

    @classmethod
    def of(cls, row: Row, caused: Sequence[Link] = (), *, retention: Retention = FOR_EVER) -> "Job":
        """The resource of a row and the jobs that it caused."""
        return cls(
            id=row.id,
            object=row.kind,
            status=row.status,
            model=row.model,
            created_at=row.created_at,
            started_at=row.started_at,
            finished_at=row.finished_at,
            expires_at=retention.expires_at(row),
            audio_expires_at=retention.audio_expires_at(row),
            audio_expired_at=row.audio_expired_at,
            attempt=row.attempt,
            progress=Progress(
                done=row.progress_done,
                total=row.progress_total,
                unit=row.progress_unit,
                eta_seconds=row.progress_eta,
            ),
            input=row.request,
            result=row.result,
            error=None if row.error is None else _error(row.error),
            warnings=row.warnings,
            metadata=row.metadata_,
            urls=_urls(row, caused),
        )


class Event(Schema):
    """Something that happened to a job."""

    id: int = Field(description="Rises within the job; for `Last-Event-ID`.", examples=[3])
    type: str = Field(examples=["running"])
    created_at: Timestamp
    data: dict[str, Any]

    @classmethod
    def of(cls, row: JobEvent) -> "Event":
        """The resource of a row."""
        return cls(id=row.seq, type=row.type, created_at=row.created_at, data=row.data)


def _error(stored: dict[str, Any]) -> JobError:
    """What a worker stored as {code, message, …}; what else it told goes under `details`."""
    more = {name: value for name, value in stored.items() if name not in {"code", "message"}}
    return JobError(
        code=str(stored.get("code", "failed")),
        message=str(stored.get("message", "")),
        details=more or None,
    )


def path_of(job_id: str, kind: JobKind) -> str:
    """The path of the job's resource."""
    return f"/v1/{kind.collection}/{job_id}"


def _urls(row: Row, caused: Sequence[Link]) -> JobUrls:
    base = path_of(row.id, row.kind)
    audit = row.kind is JobKind.AUDIT
    parent = None
    if row.parent_id is not None:
        parent = path_of(row.parent_id, kind_of(row.parent_id))
    return JobUrls(
        self=base,
        cancel=f"{base}/cancel",
        events=f"{base}/events",
        results=f"{base}/results" if audit else None,
        report=f"{base}/report" if audit else None,
        artifacts=f"{base}/artifacts" if audit else None,
        caused_by=parent,
        caused=[path_of(link.id, link.kind) for link in caused],
    )
