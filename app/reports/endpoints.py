"""GET /v1/audits/{id}/report in each of its forms, and the schema of its JSON."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse

from app.access.auth import Caller, MayAudit
from app.access.quotas import ConcurrencyLimit
from app.audits.formats import chosen
from app.audits.report import Report
from app.http.headers import SIGNATURE
from app.http.listed_headers import listed
from app.http.negotiation import NegotiatedRoute
from app.http.problems import problems
from app.http.queries import NoQuery
from app.jobs.endpoints import JobId
from app.jobs.services import Services, ServicesDep
from app.reports import service
from app.reports.formats import FORMATS
from app.reports.schemas import JSON_SCHEMA, ReportQuery, json_schema
from app.signing.key_store import KeyStore
from app.signing.schemas import Signature
from app.signing.service import Written, sign_written, signed_headers
from app.signing.signatures import to_bytes

router = APIRouter(prefix="/v1", tags=["audits"])

# One of 5,000 rows takes two seconds of a core; predictions are to find the others free.
WRITTEN: Final = ConcurrencyLimit(
    2, "reports are being written", code="reports_busy", retry_after=2
)

OFFERS: Final = {name: form.media_type for name, form in FORMATS.items()}
BINARY: Final = {"schema": {"type": "string", "format": "binary"}}

Accept = Annotated[str | None, listed("Accept", description="Used where `format` is not given.")]


async def _written(
    job_id: str,
    request: Request,
    services: Services,
    caller: Caller,
    query: ReportQuery,
    accept: str | None,
) -> Written:
    """The report in the form that is asked for: what is answered, and what is signed."""
    kind = chosen(accept, OFFERS, wanted=query.format)

    def write() -> Written:
        with services.sessions() as session:
            material = service.material(
                session,
                services.storage,
                job_id,
                owner=caller.owner,
                base_url=str(request.base_url),
                fonts=services.settings.report_fonts,
            )
        return Written(job_id, kind, FORMATS[kind].write(material))

    if kind == "json":  # as it is stored, but for its age
        return await run_in_threadpool(write)
    with WRITTEN.one(caller.owner):
        return await run_in_threadpool(write)


async def get_report(
    job_id: JobId,
    request: Request,
    services: ServicesDep,
    caller: MayAudit,
    query: Annotated[ReportQuery, Query()],
    accept: Accept = None,
) -> Response:
    """The model with the SHA-256 of its weights, the clips, the attacks, the versions of what
    computed it, the result, the job's warnings and the artifacts with their SHA-256.

    JSON is for programs; `GET /v1/reports/schema` describes it. HTML is one file that opens without
    a network and prints well. PDF is PDF/UA-1, with the JSON and, if they are not too many, the
    rows inside. Both come as attachments. The bytes of each are signed: see `report/signature`.
    """
    written = await _written(job_id, request, services, caller, query, accept)
    store = KeyStore.of(services.storage, services.settings)
    signature = await run_in_threadpool(signed_headers, store, written)
    form = FORMATS[written.kind]
    headers = dict(form.headers) | signature
    if form.attachment:
        headers["Content-Disposition"] = f'attachment; filename="{job_id}.{written.kind}"'
    return Response(written.content, headers=headers, media_type=form.media_type)


router.add_api_route(
    "/audits/{job_id}/report",
    get_report,
    methods=["GET"],
    route_class_override=NegotiatedRoute,
    summary="Its report: all that is needed to do it again, and its result",
    response_model=Report,
    responses={
        200: {
            "headers": SIGNATURE,
            "content": {
                form.media_type: BINARY
                for form in FORMATS.values()
                if form.media_type != "application/json"
            },
        },
        **problems(404, 406, 409, 410, 422, 429, 503),
    },
)


@router.get(
    "/audits/{job_id}/report/signature",
    summary="Who vouches for its report: a detached signature",
    response_model=Signature,
    responses=problems(404, 406, 409, 410, 422, 429, 503),
)
async def get_report_signature(
    job_id: JobId,
    request: Request,
    services: ServicesDep,
    caller: MayAudit,
    query: Annotated[ReportQuery, Query()],
) -> Response:
    """Of the bytes that the report answers in that `format` (json if none is said). Save it as
    `FILE.sig`, byte for byte: `serval verify FILE` takes both, offline. The header
    `Serval-Signature` of the report is the same document in base64."""
    written = await _written(job_id, request, services, caller, query, None)
    store = KeyStore.of(services.storage, services.settings)
    signature = await run_in_threadpool(sign_written, store, written)
    return Response(to_bytes(signature), media_type="application/json")


@router.get(
    "/reports/schema",
    summary="What a report looks like, for programs",
    response_model=dict[str, Any],
    responses={200: {"content": {JSON_SCHEMA: {"schema": {"type": "object"}}}}},
)
def get_schema(_caller: MayAudit, _query: NoQuery) -> JSONResponse:
    """The JSON Schema (2020-12) of reports that are written now. Its `$id` names the
    `schema_version`: the second number rises when a field is added, the first when one goes or
    means something else. Reports that were stored before are answered in this shape as well."""
    return JSONResponse(json_schema(), media_type=JSON_SCHEMA)
