"""PUT and DELETE /v1/models/{model_id}/detector."""

from typing import Annotated, Final

from fastapi import APIRouter, Body, Request, Response
from fastapi.concurrency import run_in_threadpool

from app.access.auth import MayTrain
from app.detectors import service
from app.detectors.schemas import Attachment
from app.http.examples import read_examples
from app.http.problems import problems
from app.http.queries import NoQuery
from app.jobs.services import ServicesDep
from app.registry.loaded import RegistryState
from app.registry.schemas import Model
from app.state import state_of

REQUESTS: Final = read_examples(__file__, "requests")

router = APIRouter(prefix="/v1/models", tags=["models"])


@router.put(
    "/{model_id}/detector",
    summary="Attach a detector to a model",
    responses=problems(403, 404, 409, 422),
)
async def put_detector(
    model_id: str,
    wanted: Annotated[Attachment, Body(openapi_examples=REQUESTS)],
    request: Request,
    services: ServicesDep,
    caller: MayTrain,
    _query: NoQuery,
) -> Model:
    """That of a training for this model, in place of any before. Predictions of the model then
    carry `adversarial_score`."""

    def attach() -> Model:
        with services.sessions() as session:
            return Model.of(
                service.attach(
                    session, services.storage, model_id, wanted.training, owner=caller.owner
                )
            )

    attached = await run_in_threadpool(attach)
    state_of(request, RegistryState).loaded_models.recheck()
    return attached


@router.delete(
    "/{model_id}/detector",
    summary="Detach a model's detector",
    status_code=204,
    responses=problems(403, 404),
)
async def delete_detector(
    model_id: str, request: Request, services: ServicesDep, caller: MayTrain, _query: NoQuery
) -> Response:
    """Predictions of the model carry no `adversarial_score` any more."""

    def detach() -> None:
        with services.sessions() as session:
            service.detach(session, services.storage, model_id, owner=caller.owner)

    await run_in_threadpool(detach)
    state_of(request, RegistryState).loaded_models.recheck()
    return Response(status_code=204)
