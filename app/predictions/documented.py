"""The two routes of predictions as FastAPI's, for the OpenAPI document.

Those of `app.predictions.endpoints` come before them and answer every request.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from app.access.auth import MayPredict
from app.http.examples import read_examples
from app.http.problems import problems
from app.predictions.endpoints import AUDIO_TYPES, classify, most_bytes_of_base64, predict
from app.predictions.schemas import (
    ChannelPredictions,
    HuggingFaceQuery,
    HuggingFaceRequest,
    ModelId,
    Prediction,
    PredictQuery,
    Score,
)
from app.settings import Settings

FAILURES = problems(400, 404, 408, 413, 415, 422, 429, 503)


def documented_routes(settings: Settings) -> APIRouter:
    """POST /v1/predict and POST /hf/{model}, with the limits of ``settings`` in their text."""
    router = APIRouter(tags=["predictions"])

    @router.post(
        "/v1/predict",
        summary="Predict the emotion of a clip",
        response_model=Prediction | ChannelPredictions,
        max_body_size=settings.max_predict_bytes,
        description="One recording, as the body or as the part `file` of a form."
        f" {_limits(settings)}",
        openapi_extra={"requestBody": {"required": True, "content": {**_WAV, **_FORM}}},
        responses=_timed(FAILURES),
        name="predict",
    )
    async def post_predict(
        request: Request, caller: MayPredict, query: Annotated[PredictQuery, Query()]
    ) -> Response:
        return await predict(request, caller, query)

    @router.post(
        "/hf/{model}",
        summary="The same, with Hugging Face's answer",
        response_model=list[Score],
        max_body_size=most_bytes_of_base64(settings),
        description="For `huggingface_hub.InferenceClient(base_url=…/hf/MODEL)` and its"
        f" `audio_classification(…)`. {_limits(settings)}",
        openapi_extra={"requestBody": {"required": True, "content": {**_WAV, **_JSON}}},
        responses=_timed(FAILURES),
        name="classify",
    )
    async def post_classify(
        model: ModelId,
        request: Request,
        caller: MayPredict,
        query: Annotated[HuggingFaceQuery, Query()],
    ) -> Response:
        return await classify(request, caller, model, query)

    return router


def _limits(settings: Settings) -> str:
    """What the endpoints accept, for their descriptions."""
    return (
        "WAV (PCM of 8 to 32 bits, float of 32 or 64, µ-law, A-law), FLAC or AIFF; 1 or 2 channels,"
        " 4 to 192 kHz. At most"
        f" {settings.max_predict_bytes / 2**20:g} MiB (413), {settings.max_clip_seconds:g} s and"
        f" {settings.max_clip_windows} windows (422); {settings.predict_queue} clips may wait"
        f" (429), each for {settings.predict_timeout_seconds:g} s (503, or 408 if its body is not"
        " here by then). A clip longer than the model's window is scored in half-overlapping"
        " windows, whose probabilities are averaged;"
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
_WAV: dict[str, Any] = dict.fromkeys(AUDIO_TYPES, _BINARY)
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
        "schema": {"$ref": f"#/components/schemas/{HuggingFaceRequest.__name__}"},
        "examples": read_examples(__file__, "requests"),
    }
}
