"""POST /v1/studies, what becomes of one, and what joins it. The rest is the same for all jobs."""

from typing import Annotated, Final

from fastapi import Body, Path, Query, Response
from fastapi.responses import JSONResponse
from sqlalchemy.orm import Session

from app.access.auth import Caller, MaySubmitTraining, MayTrain, may
from app.access.keys.scopes import Scope
from app.errors import Forbidden
from app.http.examples import read_examples
from app.http.idempotency import IdempotencyKey
from app.http.problems import problems
from app.http.queries import NoQuery
from app.jobs.endpoints import JobId, accepted, job_routes, resource
from app.jobs.schemas import Job, path_of
from app.jobs.services import Services, ServicesDep
from app.jobs.states import JobKind
from app.persistence.database import SessionDep
from app.schemas import Page, Schema
from app.studies import result, service
from app.studies.pictures import pictures
from app.studies.schemas import (
    CellsQuery,
    CellsRequest,
    StudyCell,
    StudyFigure,
    StudyForecast,
    StudyRequest,
    TablesQuery,
)
from models.studies.rendering import MEDIA_TYPES, RENDERERS
from models.studies.result import StudyResult

REQUESTS: Final = read_examples(__file__, "requests")
ADDITIONS: Final = read_examples(__file__, "additions")
ACCEPTED: Final = read_examples(__file__, "accepted")
JOBS: Final = read_examples(__file__, "jobs")

SVG: Final = "image/svg+xml"
TEXTS: Final = [one.partition(";")[0] for name, one in MEDIA_TYPES.items() if name != "json"]

router = job_routes(JobKind.STUDY, may(Scope.TRAIN), JOBS, service.after_cancel)


class CreateQuery(Schema):
    """How a study is submitted."""

    dry_run: bool = False


@router.post(
    "",
    status_code=202,
    response_model=Job,
    summary="Begin a study",
    responses={
        200: {"model": StudyForecast, "description": "With `dry_run`: what it would take."},
        **accepted(ACCEPTED),
        **problems(400, 403, 404, 409, 415, 422, 429, 503),
    },
)
def create_study(
    wanted: Annotated[StudyRequest, Body(openapi_examples=REQUESTS)],
    response: Response,
    session: SessionDep,
    services: ServicesDep,
    caller: MaySubmitTraining,
    query: Annotated[CreateQuery, Query()],
    idempotency_key: IdempotencyKey = None,
) -> Job | JSONResponse:
    """A grid of trainings, each followed by audits of its model, as one job. It needs a key with
    the scopes train and audit.

    Its trainings and audits are jobs as all others, which it causes a few at a time. Trainings and
    audits that are there already, with the same plan on the same data, are reused. A cell that
    fails does not end the study; `/cells` tells of each. Events: `cell` for each cell that ends.
    """
    _check_scopes(caller)
    if query.dry_run:
        told = service.dry_run(session, services, wanted, owner=caller.owner)
        return JSONResponse(told.model_dump())
    made = service.create(
        session, services, wanted, owner=caller.owner, idempotency_key=idempotency_key
    )
    return _answer(response, session, services, caller, made.id)


@router.get("/{job_id}/cells", summary="Its cells", responses=problems(404, 410, 422))
def list_cells(
    job_id: JobId,
    session: SessionDep,
    caller: MayTrain,
    query: Annotated[CellsQuery, Query()],
) -> Page[StudyCell]:
    """In the order of the grid: what has become of the training and the audits of each."""
    found, has_more = service.cells(
        session, job_id, owner=caller.owner, after=query.after, limit=query.limit
    )
    return Page(data=[StudyCell.of(cell) for cell in found], has_more=has_more)


@router.post(
    "/{job_id}/cells",
    status_code=202,
    summary="Add to its grid",
    responses={**accepted(ACCEPTED), **problems(400, 403, 404, 409, 410, 415, 422, 429, 503)},
)
def add_cells(
    job_id: JobId,
    more: Annotated[CellsRequest, Body(openapi_examples=ADDITIONS)],
    response: Response,
    session: SessionDep,
    services: ServicesDep,
    caller: MaySubmitTraining,
    _query: NoQuery,
) -> Job:
    """Each new value is combined with all others of the grid. A study that has ended goes on. What
    is there already is not added again, so sending the same twice is the same as once."""
    _check_scopes(caller)
    service.add_cells(session, services, job_id, more, owner=caller.owner)
    return _answer(response, session, services, caller, job_id)


@router.post(
    "/{job_id}/resume",
    status_code=202,
    summary="Try again what failed",
    responses={**accepted(ACCEPTED), **problems(403, 404, 409, 410, 429, 503)},
)
def resume_study(
    job_id: JobId,
    response: Response,
    session: SessionDep,
    services: ServicesDep,
    caller: MaySubmitTraining,
    _query: NoQuery,
) -> Job:
    """What failed or was cancelled is done anew, also after the whole study was cancelled. A study
    of which everything has succeeded stays as it is."""
    _check_scopes(caller)
    service.resume(session, services, job_id, owner=caller.owner)
    return _answer(response, session, services, caller, job_id)


@router.get(
    "/{job_id}/tables",
    summary="Its tables",
    response_model=StudyResult,
    responses={
        200: {"content": {one: {"schema": {"type": "string"}} for one in TEXTS}},
        **problems(404, 410, 422, 503),
    },
)
def get_tables(
    job_id: JobId,
    session: SessionDep,
    services: ServicesDep,
    caller: MayTrain,
    query: Annotated[TablesQuery, Query()],
) -> Response:
    """The paper's tables and what it lacks, each figure with its interval over speakers and seeds.
    While the study goes on: as far as it is."""
    found = result.result(session, services.storage, job_id, owner=caller.owner)
    return Response(RENDERERS[query.format](found), media_type=MEDIA_TYPES[query.format])


@router.get("/{job_id}/figures", summary="Its figures", responses=problems(404, 410, 503))
def list_figures(
    job_id: JobId, session: SessionDep, services: ServicesDep, caller: MayTrain, _query: NoQuery
) -> Page[StudyFigure]:
    """UAR against the strength of each attack, for all models; and what an attack does to a clip,
    as the study's audits of models without a defence have drawn it."""
    found = result.result(session, services.storage, job_id, owner=caller.owner)
    base = f"{path_of(job_id, JobKind.STUDY)}/figures"
    charts = [
        StudyFigure(
            name=f"{one.name}.svg",
            title=one.title,
            description=one.description,
            url=f"{base}/{one.name}.svg",
        )
        for one in result.figures(found)
    ]
    drawn = pictures(session, services.storage, found, owner=caller.owner)
    return Page(data=[*charts, *drawn], has_more=False)


@router.get(
    "/{job_id}/figures/{name}",
    summary="One of its figures",
    response_class=Response,
    responses={
        200: {"content": {SVG: {"schema": {"type": "string"}}}},
        **problems(404, 410, 503),
    },
)
def get_figure(
    job_id: JobId,
    name: Annotated[str, Path(max_length=100, examples=["robustness-fgsm-test.svg"])],
    session: SessionDep,
    services: ServicesDep,
    caller: MayTrain,
    _query: NoQuery,
) -> Response:
    """A drawing (SVG)."""
    found = result.result(session, services.storage, job_id, owner=caller.owner)
    return Response(str(result.figure(found, name).svg), media_type=SVG)


def _answer(
    response: Response, session: Session, services: Services, caller: Caller, study_id: str
) -> Job:
    job, tag = resource(session, study_id, caller, JobKind.STUDY, services.settings)
    response.headers["Location"] = job.urls.self
    response.headers["ETag"] = tag
    return job


def _check_scopes(caller: Caller) -> None:
    if not caller.may(Scope.AUDIT):
        raise Forbidden(
            "A study queues audits, and this key lacks the scope audit. Use a key with the scopes"
            " train and audit.",
            code="scope_missing",
        )
