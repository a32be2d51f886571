"""The registry over REST."""

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse
from pydantic import ValidationError
from starlette.datastructures import FormData

from app.access.allowance import Allowance
from app.access.auth import MayTrain, MayUse
from app.access.quotas import ConcurrencyLimit
from app.errors import Invalid
from app.http.downloads import DOWNLOADED, download
from app.http.etags import IfNoneMatch
from app.http.examples import read_examples
from app.http.forms import ANY_SIZE, multipart, no_others, the_file, the_text
from app.http.headers import answer, location
from app.http.idempotency import NoIdempotencyKey
from app.http.problems import invalid, problems
from app.http.queries import NoQuery, PageQuery
from app.jobs.services import ServicesDep
from app.persistence.database import SessionDep
from app.registry import service
from app.registry.loaded import RegistryState
from app.registry.schemas import Model, ModelUpload
from app.schemas import Page
from app.state import state_of
from models.checkpoint import CONFIG, WEIGHTS

router = APIRouter(prefix="/v1/models", tags=["models"])

# Checking an upload takes its size twice in memory.
UPLOADS: Final = ConcurrencyLimit(
    2, "models are being uploaded", code="uploads_busy", retry_after=5
)

FORM: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["weights", "config"],
                    "additionalProperties": False,
                    "properties": {
                        "weights": {
                            "type": "string",
                            "format": "binary",
                            "description": "The state of the network as a safetensors file.",
                        },
                        "config": {
                            "type": "string",
                            "description": "JSON, as text or as a file: `architecture`, `labels`,"
                            " `mean` and `std` of the 64 mel bands; `frames`, `defense`,"
                            " `training` and `metrics` if known.",
                        },
                        "name": ModelUpload.model_json_schema()["properties"]["name"],
                    },
                },
                "examples": read_examples(__file__, "forms"),
            }
        },
    }
}


@router.post(
    "",
    summary="Upload a model",
    status_code=201,
    max_body_size=ANY_SIZE,
    openapi_extra=FORM,
    responses={
        201: answer(location("/v1/models/model_01K9ZQ3W8M4V7T2X6B5N0C1DEF")),
        **problems(400, 408, 413, 415, 422, 429, 503),
    },
)
async def create_model(
    request: Request,
    response: Response,
    services: ServicesDep,
    caller: MayTrain,
    _query: NoQuery,
    _key: NoIdempotencyKey,
) -> Model:
    """Weights as safetensors and their configuration as JSON. Nothing is ever unpickled; both are
    checked against the architecture, and the model can be used at once."""

    def register(weights: bytes, config: bytes, name: str | None) -> Model:
        with services.sessions() as session:
            return Model.of(
                service.register(
                    session,
                    services.storage,
                    weights,
                    config,
                    owner=caller.owner,
                    name=name,
                    most=Allowance.of(services.settings),
                )
            )

    with UPLOADS.one(caller.owner):
        async with multipart(
            request, most_bytes=services.settings.max_model_bytes, most_files=2, most_fields=2
        ) as form:
            no_others(form, "weights", "config", "name")
            weights, config = await the_file(form, "weights").read(), await _config(form)
            model = await run_in_threadpool(register, weights, config, _name(form))
    response.headers["Location"] = f"{router.prefix}/{model.id}"
    return model


@router.get("", summary="List models", responses=problems(422))
def list_models(
    session: SessionDep,
    services: ServicesDep,
    caller: MayUse,
    query: Annotated[PageQuery, Query()],
) -> Page[Model]:
    """Yours, newest first, and then the starters that ship with the service."""
    found, has_more = service.list_page(
        session, services.storage, owner=caller.owner, after=query.after, limit=query.limit
    )
    return Page(data=[Model.of(entry) for entry in found], has_more=has_more)


@router.get("/{model_id}", summary="One model", responses=problems(404))
def get_model(
    model_id: str, session: SessionDep, services: ServicesDep, caller: MayUse, _query: NoQuery
) -> Model:
    """Its labels, front end, defence, measured robustness, and the training that made it."""
    return Model.of(service.get(session, services.storage, model_id, owner=caller.owner))


@router.head("/{model_id}/weights", include_in_schema=False)
@router.get(
    "/{model_id}/weights",
    summary="A model's weights",
    response_class=FileResponse,
    responses={
        200: {
            "description": "The state of the network as a safetensors file.",
            "content": {service.WEIGHTS_TYPE: {"schema": {"type": "string", "format": "binary"}}},
        },
        **DOWNLOADED,
        **problems(404),
    },
)
def get_weights(
    model_id: str,
    session: SessionDep,
    services: ServicesDep,
    caller: MayUse,
    _query: NoQuery,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """With `Range` a part of it. `sha256` of the model is that of the whole file."""
    path = service.file(session, services.storage, model_id, WEIGHTS, owner=caller.owner)
    return download(
        path,
        media_type=service.WEIGHTS_TYPE,
        name=f"{model_id}.safetensors",
        if_none_match=if_none_match,
    )


@router.head("/{model_id}/config", include_in_schema=False)
@router.get(
    "/{model_id}/config",
    summary="A model's configuration",
    response_class=FileResponse,
    responses={
        200: {
            "description": "What an upload of the weights takes as `config`.",
            "content": {"application/json": {"schema": {"type": "object"}}},
        },
        **DOWNLOADED,
        **problems(404),
    },
)
def get_config(
    model_id: str,
    session: SessionDep,
    services: ServicesDep,
    caller: MayUse,
    _query: NoQuery,
    if_none_match: IfNoneMatch = None,
) -> Response:
    """Architecture, labels, z-score and window, and what is known of the training: with the
    weights all that another service needs."""
    path = service.file(session, services.storage, model_id, CONFIG, owner=caller.owner)
    return download(
        path,
        media_type="application/json",
        name=f"{model_id}.json",
        if_none_match=if_none_match,
    )


@router.delete(
    "/{model_id}", summary="Delete a model", status_code=204, responses=problems(403, 404, 409)
)
async def delete_model(
    model_id: str, request: Request, services: ServicesDep, caller: MayTrain, _query: NoQuery
) -> Response:
    """Delete a model that no unfinished job uses. A starter stays (403)."""

    def remove() -> None:
        with services.sessions() as session:
            service.remove(session, services.storage, model_id, owner=caller.owner)

    await run_in_threadpool(remove)
    state_of(request, RegistryState).loaded_models.forget(model_id)
    return Response(status_code=204)


async def _config(form: FormData) -> bytes:
    """The form's configuration, sent as text or as a file."""
    found = await the_text(form, "config")
    if found is None:
        raise Invalid(
            "The form's part 'config' is absent. Send the configuration's JSON"
            " (curl: -F config=@config.json).",
            code="config_missing",
        )
    return found


def _name(form: FormData) -> str | None:
    found = form.get("name")
    if found is None:
        return None
    try:
        return ModelUpload.model_validate({"name": found}).name
    except ValidationError as error:
        raise invalid(list(error.errors()), what="The form") from None
