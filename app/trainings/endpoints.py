"""POST /v1/trainings; reading, cancelling and following are the same for all jobs."""

from typing import Annotated, Any, Final

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
from app.trainings import detectors, service
from app.trainings.any_request import AnyTrainingRequest
from app.trainings.detector_request import DetectorRequest

# The figures are the similarity starter's.
REQUESTS: Final = read_examples(__file__, "requests")
QUEUED: Final = read_examples(__file__, "queued")
JOBS: Final = read_examples(__file__, "jobs")

router = job_routes(JobKind.TRAINING, may(Scope.TRAIN), JOBS)


@router.post(
    "",
    status_code=202,
    summary="Queue a training",
    responses={**accepted(QUEUED), **problems(400, 403, 404, 409, 415, 422, 429, 503)},
)
def create_training(
    wanted: Annotated[AnyTrainingRequest, Body(openapi_examples=REQUESTS)],
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

    With `"type": "detector"` it is a detector of adversarial clips for a model that is there:
    events `step` and `examined`, and in `result` its figures.
    """
    places = session, services.queue, services.storage, services.settings
    who: Any = {"owner": caller.owner, "idempotency_key": idempotency_key}
    made = (
        detectors.create(*places, wanted, **who)
        if isinstance(wanted, DetectorRequest)
        else service.create(*places, wanted, **who)
    )
    job, tag = resource(session, made.id, caller, JobKind.TRAINING, services.settings)
    response.headers["Location"] = job.urls.self
    response.headers["ETag"] = tag
    return job
