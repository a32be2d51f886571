"""Predictions over REST: our own answer, and Hugging Face's."""

import base64
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import Field, ValidationError
from pydantic_core import from_json, to_json
from starlette.requests import ClientDisconnect

from app.access.auth import MayPredict
from app.errors import BadRequest, ClientGone, TooLarge, UnsupportedMedia, shown
from app.http.forms import declared_length, multipart, no_others, the_file
from app.http.problems import invalid, problems
from app.predictions import hooks
from app.predictions.direct_route import DirectRoute
from app.predictions.request_queue import ClipScores
from app.predictions.schemas import HuggingFaceRequest, Prediction, Score
from app.predictions.service import Predictions
from app.registry.loaded import LoadedModel
from app.schemas import Schema
from app.settings import Settings

WAV_TYPES = (
    "audio/wav",
    "audio/x-wav",
    "audio/wave",
    "audio/vnd.wave",
    "application/octet-stream",
)
FAILURES = problems(400, 404, 413, 415, 422, 429, 503)
BASE64_GROWTH = 4 / 3
JSON_AROUND = 4096  # bytes of a JSON request that are not its clip

TopK = Annotated[int | None, Field(ge=1, le=1000, description="Only the most probable labels.")]


class PredictQuery(Schema, frozen=True):
    """How to score the clip."""

    model: str | None = Field(
        default=None,
        max_length=100,
        description="A model's id; without it the default one's.",
        examples=["cnn4-single-cremad"],
    )
    top_k: TopK = None


class HuggingFaceQuery(Schema):
    """How to answer."""

    top_k: TopK = None


def prediction_routes(settings: Settings) -> APIRouter:
    """POST /v1/predict and POST /hf/{model}, with the limits of ``settings`` in their text."""
    router = APIRouter(tags=["predictions"])

    async def predict(
        request: Request, caller: MayPredict, query: Annotated[PredictQuery, Query()]
    ) -> Response:
        model, outcome = await _score(request, query.model, caller.owner, _clip)
        scores = hooks.encode_response(outcome.probabilities, model.config.labels)
        prediction: Prediction = {
            "object": "prediction",
            "model": model.id,
            "label": scores[0]["label"],
            "scores": scores[: query.top_k],
            "duration_s": round(outcome.duration_s, 6),
            "windows": outcome.windows,
            "warnings": list(outcome.warnings),
            "request_id": request.state.request_id,
        }
        return _answer(prediction, outcome)

    router.add_api_route(
        "/v1/predict",
        predict,
        methods=["POST"],
        route_class_override=DirectRoute,
        summary="Predict the emotion of a clip",
        response_model=Prediction,
        max_body_size=settings.max_predict_bytes,
        description="One WAV file, as the body or as the part `file` of a form."
        f" {_limits(settings)}",
        openapi_extra={"requestBody": {"required": True, "content": {**_WAV, **_FORM}}},
        responses=_timed(FAILURES),
    )

    @router.post(
        "/hf/{model}",
        summary="The same, with Hugging Face's answer",
        response_model=list[Score],
        max_body_size=int(settings.max_predict_bytes * BASE64_GROWTH) + JSON_AROUND,
        description="For `huggingface_hub.InferenceClient(base_url=…/hf/MODEL)` and its"
        f" `audio_classification(…)`. {_limits(settings)}",
        openapi_extra={"requestBody": {"required": True, "content": {**_WAV, **_JSON}}},
        responses=_timed(FAILURES),
    )
    async def classify(
        model: Annotated[str, Field(max_length=100, examples=["cnn4-single-cremad"])],
        request: Request,
        caller: MayPredict,
        query: Annotated[HuggingFaceQuery, Query()],
    ) -> Response:
        top_k = query.top_k

        async def read(request: Request) -> bytes:
            nonlocal top_k
            if media_type(request) != "application/json":
                return _bounded(await _clip(request), settings.max_predict_bytes)
            asked, clip = await run_in_threadpool(_from_json, await request.body())
            top_k = asked.parameters.top_k or top_k
            return _bounded(clip, settings.max_predict_bytes)

        used, outcome = await _score(request, model, caller.owner, read)
        scores = hooks.encode_response(outcome.probabilities, used.config.labels, top_k)
        return _answer(scores, outcome)

    return router


def _answer(content: Prediction | list[Score], outcome: ClipScores) -> Response:
    """The JSON, written once: FastAPI would check it first."""
    headers = {"Server-Timing": server_timing(outcome)}
    return Response(to_json(content), headers=headers, media_type="application/json")


async def _score(
    request: Request, model: str | None, owner: str, read: Callable[[Request], Awaitable[bytes]]
) -> tuple[LoadedModel, ClipScores]:
    predictions: Predictions = request.app.state.predictions

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    size = _announced(request, request.app.state.settings.max_predict_bytes)
    try:
        return await predictions.score(
            model, owner=owner, size=size, body=lambda: read(request), gone=gone
        )
    except ClientDisconnect:
        raise ClientGone from None


def media_type(request: Request) -> str:
    """The Content-Type without its parameters, in lower case; "" if there is none."""
    return request.headers.get("content-type", "").split(";")[0].strip().lower()


def server_timing(outcome: ClipScores) -> str:
    """Where the time went, for browsers and logs (W3C Server Timing), in milliseconds."""
    return ", ".join(f"{name};dur={ms:.2f}" for name, ms in outcome.timings.items())


async def _clip(request: Request) -> bytes:
    """The WAV file of the request, which is its body or the one part of its form."""
    kind = media_type(request)
    if kind == "multipart/form-data":
        most = request.app.state.settings.max_predict_bytes
        async with multipart(request, most_bytes=most, most_fields=0) as form:
            no_others(form, "file")
            return await the_file(form).read()
    if kind and kind not in WAV_TYPES:
        raise UnsupportedMedia(
            f"The Content-Type is {shown(kind)}; send the WAV file as audio/wav"
            " (curl -H 'Content-Type: audio/wav' --data-binary @FILE), or as a form (curl -F"
            " file=@FILE).",
        )
    return await request.body()


def _from_json(body: bytes) -> tuple[HuggingFaceRequest, bytes]:
    """What a Hugging Face client asks for, and the clip in it."""
    try:
        value = from_json(body)
    except ValueError as error:
        raise BadRequest(f"The body is not JSON: {error}.", code="malformed_json") from None
    try:
        asked = HuggingFaceRequest.model_validate(value)
    except ValidationError as error:
        raise invalid(list(error.errors()), what="The body") from None
    try:
        return asked, base64.b64decode(asked.inputs, validate=True)
    except ValueError as error:
        raise BadRequest(
            f"`inputs` is not base64: {error}. Give the WAV file's bytes as base64.",
            code="malformed_base64",
        ) from None


def _bounded(clip: bytes, most: int) -> bytes:
    if len(clip) > most:
        raise TooLarge(f"The clip has {len(clip)} bytes; at most {most} are accepted.")
    return clip


def _announced(request: Request, most: int) -> int:
    """How large the body will be, as far as its headers say; the most that is read otherwise."""
    declared = declared_length(request)
    return most if declared is None else min(declared, most)


def _limits(settings: Settings) -> str:
    """What the endpoints accept, for their descriptions."""
    return (
        "PCM of 8, 16, 24 or 32 bits or float of 32 or 64, 1 or 2 channels, 8 to 48 kHz. At most"
        f" {settings.max_predict_bytes / 2**20:g} MiB (413), {settings.max_clip_seconds:g} s and"
        f" {settings.max_clip_windows} windows (422); {settings.predict_queue} clips may wait"
        f" (429), each for {settings.predict_timeout_seconds:g} s (503). A clip longer than the"
        " model's window is scored in half-overlapping windows, whose probabilities are averaged;"
        " a shorter one is repeated."
    )


def _timed(responses: dict[int | str, dict[str, Any]]) -> dict[int | str, dict[str, Any]]:
    header = {
        "description": "Milliseconds of decode, features, queue and network.",
        "schema": {"type": "string"},
        "example": "decode;dur=0.41, features;dur=0.97, queue;dur=0.06, network;dur=17.90",
    }
    return {200: {"headers": {"Server-Timing": header}}, **responses}


_BINARY = {"schema": {"type": "string", "format": "binary"}}
_WAV: dict[str, Any] = dict.fromkeys(WAV_TYPES, _BINARY)
_FORM: dict[str, Any] = {
    "multipart/form-data": {
        "schema": {
            "type": "object",
            "required": ["file"],
            "properties": {"file": {"type": "string", "format": "binary"}},
            "additionalProperties": False,
        }
    }
}
_JSON: dict[str, Any] = {
    "application/json": {
        "schema": HuggingFaceRequest.model_json_schema(),
        "example": {"inputs": "UklGR…", "parameters": {"top_k": 2}},
    }
}
