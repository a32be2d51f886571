"""GET /v1/audits/{id}/report in each of its forms, and the schema of its JSON."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse

from app.access.auth import MayAudit
from app.access.quotas import ConcurrencyLimit
from app.audits.formats import chosen
from app.audits.report import Report
from app.http.listed_headers import listed
from app.http.negotiation import NegotiatedRoute
from app.http.problems import problems
from app.http.queries import NoQuery
from app.jobs.endpoints import JobId
from app.jobs.services import ServicesDep
from app.reports import service
from app.reports.formats import FORMATS
from app.reports.schemas import JSON_SCHEMA, ReportQuery, json_schema

router = APIRouter(prefix="/v1", tags=["audits"])

# One of 5,000 rows takes two seconds of a core; predictions are to find the others free.
WRITTEN: Final = ConcurrencyLimit(
    2, "reports are being written", code="reports_busy", retry_after=2
)

OFFERS: Final = {name: form.media_type for name, form in FORMATS.items()}
BINARY: Final = {"schema": {"type": "string", "format": "binary"}}

Accept = Annotated[str | None, listed("Accept", description="Used where `format` is not given.")]


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
    rows inside. Both come as attachments.
    """

    def write() -> tuple[str, bytes]:
        with services.sessions() as session:
            material = service.material(
                session,
                services.storage,
                job_id,
                owner=caller.owner,
                base_url=str(request.base_url),
                fonts=services.settings.report_fonts,
            )
        name = chosen(accept, OFFERS, wanted=query.format)
        return name, FORMATS[name].write(material)

    with WRITTEN.one(caller.owner):
        name, content = await run_in_threadpool(write)
    form = FORMATS[name]
    headers = dict(form.headers)
    if form.attachment:
        headers["Content-Disposition"] = f'attachment; filename="{job_id}.{name}"'
    return Response(content, headers=headers, media_type=form.media_type)


router.add_api_route(
    "/audits/{job_id}/report",
    get_report,
    methods=["GET"],
    route_class_override=NegotiatedRoute,
    summary="Its report: all that is needed to do it again, and its result",
    response_model=Report,
    responses={
        200: {
            "content": {
                form.media_type: BINARY
                for form in FORMATS.values()
                if form.media_type != "application/json"
            }
        },
        **problems(404, 406, 409, 410, 422, 429, 503),
    },
)


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
