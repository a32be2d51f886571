"""POST /v1/audits, and what an audit has found. The rest is the same for all jobs."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Annotated, Any, Final, Literal

from fastapi import Body, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse
from fastapi.routing import APIRoute
from pydantic import Field
from starlette.datastructures import FormData
from starlette.datastructures import UploadFile as StarletteFile
from starlette.routing import Match
from starlette.types import Scope as AsgiScope

from app.access.auth import MayAudit, MaySubmitAudit, may
from app.access.keys.scopes import Scope
from app.access.quotas import ConcurrencyLimit
from app.audits import files, formats, service
from app.audits.dry_run import dry_run
from app.audits.forecasts import ForecastAnswer
from app.audits.result import AuditResult
from app.audits.schemas import Artifact, AuditRequest, UploadedAuditRequest
from app.audits.service import Upload
from app.errors import Forbidden, Invalid
from app.http.downloads import DOWNLOADED, download
from app.http.etags import IfNoneMatch
from app.http.examples import read_examples
from app.http.forms import ANY_SIZE, multipart, no_others, the_request
from app.http.idempotency import IdempotencyKey
from app.http.listed_headers import listed
from app.http.negotiation import NegotiatedRoute
from app.http.problems import problems
from app.http.queries import NoQuery
from app.jobs.endpoints import JobId, accepted, job_routes, resource
from app.jobs.schemas import Job, path_of
from app.jobs.services import ServicesDep
from app.jobs.states import JobKind
from app.persistence.database import SessionDep
from app.schemas import Page, Schema
from app.settings import Settings
from models.audit import AuditRow

# The figures are those of a real audit, of 24 clips of CREMA-D.
REQUESTS: Final = read_examples(__file__, "requests")
QUEUED: Final = read_examples(__file__, "queued")
JOBS: Final = read_examples(__file__, "jobs")

router = job_routes(JobKind.AUDIT, may(Scope.AUDIT), JOBS)

# Files of less than a megabyte stay in memory, 256 MiB of them in a form at worst: a gigabyte in
# all. And each form keeps a thread of the pool, of 40, busy while its clips are decoded.
UPLOADS: Final = ConcurrencyLimit(
    4, "audits are being uploaded", code="uploads_busy", retry_after=5
)


BINARY: Final = {"schema": {"type": "string", "format": "binary"}}
FORM: Final[dict[str, Any]] = {
    "requestBody": {
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file", "request"],
                    "additionalProperties": False,
                    "properties": {
                        "file": {
                            "type": "array",
                            "minItems": 1,
                            "items": {"type": "string", "format": "binary"},
                            "description": "Recordings, one part each.",
                        },
                        "request": {"$ref": "#/components/schemas/UploadedAuditRequest"},
                    },
                },
                "encoding": {"request": {"contentType": "application/json"}},
                "examples": read_examples(__file__, "forms"),
            }
        }
    }
}


class FormRoute(APIRoute):
    """A route that only requests with a form find; others go on to the next route."""

    def matches(self, scope: AsgiScope) -> tuple[Match, AsgiScope]:
        kinds = [value for name, value in scope["headers"] if name == b"content-type"]
        if not any(kind.lower().startswith(b"multipart/form-data") for kind in kinds):
            return Match.NONE, {}
        return super().matches(scope)


async def create_from_files(
    request: Request,
    response: Response,
    caller: MaySubmitAudit,
    services: ServicesDep,
    _query: NoQuery,
    idempotency_key: IdempotencyKey = None,
) -> Job:
    """`create_audit` for uploaded clips."""

    def work(wanted: UploadedAuditRequest, uploads: Sequence[Upload]) -> tuple[Job, str]:
        with services.sessions() as session:
            made = service.create_uploaded(
                session,
                services,
                wanted,
                uploads,
                owner=caller.owner,
                idempotency_key=idempotency_key,
            )
            return resource(session, made.id, caller, JobKind.AUDIT, services.settings)

    with UPLOADS.one(caller.owner):
        async with _form(request, services.settings) as form:
            no_others(form, "file", "request")
            wanted = await the_request(form, UploadedAuditRequest)
            job, tag = await run_in_threadpool(work, wanted, _uploads(form))
    return _accepted(response, job, tag)


def _form(request: Request, settings: Settings) -> AbstractAsyncContextManager[FormData]:
    most = settings.max_audit_files + 1  # the one too many is refused in our words
    return multipart(
        request,
        most_bytes=settings.max_audit_bytes,
        most_files=most + 1,  # the request may come as a file
        most_fields=most,
    )


def _uploads(form: FormData) -> Sequence[Upload]:
    found = form.getlist("file")
    for number, part in enumerate(found):
        if not isinstance(part, StarletteFile):
            raise Invalid(
                f"The form's part file.{number} is text, without a file name. Send each clip as a"
                " file (curl: -F file=@PATH).",
                code="file_missing",
            )
    return [Upload(p.filename or "", p.file) for p in found if isinstance(p, StarletteFile)]


router.add_api_route(
    "",
    create_from_files,
    methods=["POST"],
    status_code=202,
    max_body_size=ANY_SIZE,
    route_class_override=FormRoute,
    include_in_schema=False,  # told of with the other POST: OpenAPI has one a path
)


class CreateQuery(Schema):
    """How an audit is submitted."""

    dry_run: bool = Field(
        default=False,
        description="Answer what the audit would cost (200), and queue nothing. On a corpus only.",
    )


@router.post(
    "",
    status_code=202,
    response_model=Job,
    summary="Queue an audit",
    openapi_extra=FORM,
    responses={
        200: {"model": ForecastAnswer, "description": "With `dry_run`: what it would cost."},
        **accepted(QUEUED),
        **problems(400, 403, 404, 408, 409, 413, 415, 422, 429, 503),
    },
)
def create_audit(
    wanted: Annotated[AuditRequest, Body(openapi_examples=REQUESTS)],
    response: Response,
    session: SessionDep,
    caller: MaySubmitAudit,
    services: ServicesDep,
    query: Annotated[CreateQuery, Query()],
    idempotency_key: IdempotencyKey = None,
) -> Job | JSONResponse:
    """Attack a model on a partition of a corpus, or, with a form, on uploaded clips.

    The answer names the job: poll it, or follow its events. Its `result` has UAR, recalls and
    confusion, clean and at each strength; the success rate over the clips that were right before;
    and the share of the successes that survives as sound. With `harden` a model that is too weak is
    trained anew with a defence, and audited again.
    """
    if wanted.harden is not None and not caller.may(Scope.TRAIN):
        raise Forbidden(
            "harden queues a training, and this key lacks the scope train. Leave it out, or use a"
            " key with both scopes.",
            code="scope_missing",
        )
    if query.dry_run:
        told = dry_run(session, services.storage, services.settings, wanted, owner=caller.owner)
        return JSONResponse(told.model_dump())
    made = service.create(
        session, services, wanted, owner=caller.owner, idempotency_key=idempotency_key
    )
    return _accepted(
        response, *resource(session, made.id, caller, JobKind.AUDIT, services.settings)
    )


def _accepted(response: Response, job: Job, tag: str) -> Job:
    response.headers["Location"] = job.urls.self
    response.headers["ETag"] = tag
    return job


Accept = Annotated[str | None, listed("Accept", description="Used where `format` is not given.")]


class ResultsQuery(Schema):
    """Which rows, and in which form."""

    format: Literal["json", "ndjson", "csv"] | None = None
    after: int | None = Field(
        default=None, ge=0, le=2**31 - 1, description="The last index of the page before."
    )
    limit: int = Field(
        default=100,
        ge=1,
        le=1000,
        description="Of JSON: how many at most. Fewer come where more would be over 8 MiB.",
    )


def get_results(
    job_id: JobId,
    session: SessionDep,
    services: ServicesDep,
    caller: MayAudit,
    query: Annotated[ResultsQuery, Query()],
    accept: Accept = None,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """In the audit's order. JSON comes in pages; NDJSON and CSV (a line for each clip and strength)
    come whole."""
    job, folder = service.findings(session, services.storage, job_id, owner=caller.owner)
    rows = folder / files.ROWS
    kind = formats.chosen(accept, formats.ROWS, wanted=query.format)
    if kind == "ndjson":
        return download(
            rows,
            media_type=formats.ROWS[kind],
            name=f"{job_id}.ndjson",
            if_none_match=if_none_match,
        )
    if kind == "csv":
        lines = formats.csv_lines(rows, AuditResult.model_validate(job.result).attacks)
        name = {"Content-Disposition": f'attachment; filename="{job_id}.csv"'}
        return StreamingResponse(lines, media_type="text/csv", headers=name)
    page = formats.page(rows, query.after, query.limit)
    return Response(page, media_type=formats.ROWS[kind])


router.add_api_route(
    "/{job_id}/results",
    get_results,
    methods=["GET"],
    route_class_override=NegotiatedRoute,
    summary="Its rows: what the model says of each clip",
    response_model=Page[AuditRow],
    responses={
        200: {
            "content": {
                "application/x-ndjson": {"schema": {"type": "string"}},
                "text/csv": {"schema": {"type": "string"}},
            }
        },
        **DOWNLOADED,
        **problems(404, 406, 409, 410, 422),
    },
)


@router.get(
    "/{job_id}/artifacts",
    summary="The files that it made",
    responses=problems(404, 409, 410),
)
def list_artifacts(
    job_id: JobId, session: SessionDep, services: ServicesDep, caller: MayAudit, _query: NoQuery
) -> Page[Artifact]:
    """Pictures, adversarial log-mels and sounds, all of them."""
    job, folder = service.findings(session, services.storage, job_id, owner=caller.owner)
    base = f"{path_of(job_id, JobKind.AUDIT)}/artifacts"
    found = [
        Artifact(
            **one.model_dump(),
            url=f"{base}/{one.name}",
            expired_at=job.audio_expired_at if files.is_audio(one.name) else None,
        )
        for one in files.read_artifacts(folder)
    ]
    return Page(data=found, has_more=False)


@router.head("/{job_id}/artifacts/{name}", include_in_schema=False)
@router.get(
    "/{job_id}/artifacts/{name}",
    summary="One of its files",
    response_class=FileResponse,
    responses={
        200: {"content": dict.fromkeys(files.MEDIA_TYPES.values(), BINARY)},
        **DOWNLOADED,
        **problems(404, 409, 410),
    },
)
def get_artifact(
    job_id: JobId,
    name: Annotated[str, Path(max_length=100, examples=["uar-curve.png"])],
    session: SessionDep,
    services: ServicesDep,
    caller: MayAudit,
    _query: NoQuery,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """With `Range` a part of it."""
    job, folder = service.findings(session, services.storage, job_id, owner=caller.owner)
    known, path = service.artifact(folder, name, job)
    try:
        return download(path, media_type=known.media_type, name=name, if_none_match=if_none_match)
    except FileNotFoundError:  # it went since the row was read
        session.expire_all()
        service.findings(session, services.storage, job_id, owner=caller.owner)
        service.artifact(folder, name, job)
        raise
