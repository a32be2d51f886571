"""POST /v1/trainings; reading, cancelling and following are the same for all jobs."""

from typing import Annotated, Final

from fastapi import Body, Response

from app.access.auth import MaySubmitTraining, may
from app.access.keys.scopes import Scope
from app.http.examples import read_examples
from app.http.idempotency import IdempotencyKey
from app.http.problems import problems
from app.http.queries import NoQuery
from app.jobs.endpoints import accepted, job_routes, resource
from app.jobs.schemas import Job
from app.jobs.services import ServicesDep
from app.jobs.states import JobKind
from app.persistence.database import SessionDep
from app.trainings import service
from app.trainings.schemas import TrainingRequest

# The figures are the similarity starter's.
REQUESTS: Final = read_examples(__file__, "requests")
QUEUED: Final = read_examples(__file__, "queued")
JOBS: Final = read_examples(__file__, "jobs")

router = job_routes(JobKind.TRAINING, may(Scope.TRAIN), JOBS)


@router.post(
    "",
    status_code=202,
    summary="Queue a training",
    responses={**accepted(QUEUED), **problems(400, 404, 409, 415, 422, 429, 503)},
)
def create_training(
    wanted: Annotated[TrainingRequest, Body(openapi_examples=REQUESTS)],
    response: Response,
    session: SessionDep,
    services: ServicesDep,
    caller: MaySubmitTraining,
    _query: NoQuery,
    idempotency_key: IdempotencyKey = None,
) -> Job:
    """The answer names the job: poll it, or follow its events.

    Events: `step` with the loss of an iteration, `evaluation` with UAR on `dev`, clean, under FGSM
    and under PGD. A training whose worker dies goes on from its last checkpoint and tells the
    iterations since then again, with the same numbers. When it has succeeded, `result.model` is in
    the registry.
    """
    made = service.create(
        session,
        services.queue,
        services.storage,
        services.settings,
        wanted,
        owner=caller.owner,
        idempotency_key=idempotency_key,
    )
    job, tag = resource(session, made.id, caller, JobKind.TRAINING, services.settings)
    response.headers["Location"] = job.urls.self
    response.headers["ETag"] = tag
    return job
