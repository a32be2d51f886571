"""GET /v1/audits/{id}/bundle."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse

from app.access.auth import MayAudit
from app.access.quotas import ConcurrencyLimit
from app.http.etags import IfNoneMatch, unchanged
from app.http.headers import ETAG
from app.http.problems import problems
from app.jobs.endpoints import JobId
from app.jobs.services import ServicesDep
from app.persistence.database import SessionDep
from app.replay import service
from app.replay.schemas import BundleQuery

router = APIRouter(prefix="/v1/audits", tags=["audits"])

ZIP: Final = "application/zip"
ANSWERS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"headers": ETAG, "content": {ZIP: {"schema": {"type": "string", "format": "binary"}}}},
    304: {"description": "Not changed since that ETag."},
    **problems(404, 409, 410, 429, 503),
}
MEASURED: Final = ConcurrencyLimit(
    2, "replay bundles are being measured", code="bundles_busy", retry_after=5
)
"""All that goes into a bundle is read and hashed before its first byte is sent."""


@router.head("/{job_id}/bundle", include_in_schema=False)
@router.get(
    "/{job_id}/bundle",
    summary="Its replay bundle: all that is needed to do it again, signed",
    response_class=StreamingResponse,
    responses=ANSWERS,
)
async def get_bundle(
    job_id: JobId,
    request: Request,
    session: SessionDep,
    services: ServicesDep,
    caller: MayAudit,
    query: Annotated[BundleQuery, Query()],
    if_none_match: IfNoneMatch = None,
) -> Response:
    """A zip with the request, the models and clips by their SHA-256, rows and report, the models'
    files, and a signature over all of it: `serval replay FILE` runs the audit again without a
    service, `serval verify FILE` says who signed it. The same question gives the same bytes."""
    with MEASURED.one(caller.owner):
        bundle = await run_in_threadpool(
            service.bundle, session, services, job_id, query, owner=caller.owner
        )
    headers = {"ETag": f'"{bundle.tag}"'}
    if unchanged(if_none_match, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    headers |= {
        "Content-Length": str(bundle.size),
        "Content-Disposition": f'attachment; filename="{job_id}.zip"',
    }
    if request.method == "HEAD":
        return Response(media_type=ZIP, headers=headers)
    return StreamingResponse(bundle.blocks(), media_type=ZIP, headers=headers)
