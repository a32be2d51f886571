"""Predictions over REST: our own answer, and Hugging Face's.

The two are asked for ten thousand times more often than anything else. So they are plain routes,
which come before all others and of which FastAPI resolves nothing; `app.predictions.documented`
has them as FastAPI's, for the OpenAPI document. Both call the same handlers.
"""

import base64
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager

from fastapi import Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import ValidationError
from pydantic_core import from_json, to_json
from starlette.datastructures import FormData
from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute

from app.access.auth import MAY_PREDICT, Caller
from app.errors import BadRequest, ClientGone, Invalid, TooLarge, UnsupportedMedia, shown
from app.http.forms import declared_length, multipart, no_others, the_file
from app.http.plain_route import PlainRoute
from app.http.problems import invalid
from app.http.queries import parsed
from app.predictions import hooks
from app.predictions.request_queue import ClipScores
from app.predictions.schemas import (
    ChannelPrediction,
    ChannelPredictions,
    HuggingFacePath,
    HuggingFaceQuery,
    HuggingFaceRequest,
    Prediction,
    PredictQuery,
    Score,
    Warned,
)
from app.predictions.service import PredictionState, Side, Upload
from app.registry.loaded import LoadedModel
from app.settings import Settings
from app.state import state_of
from models.audio import AudioError
from models.audio.guess import FROM_A_BROWSER

AUDIO_TYPES = (
    "audio/wav",
    "audio/x-wav",
    "audio/wave",
    "audio/vnd.wave",
    "audio/x-pn-wav",
    "audio/flac",
    "audio/x-flac",
    "audio/aiff",
    "audio/x-aiff",
    "application/octet-stream",
    "binary/octet-stream",
)
RECORDED_BY_BROWSERS = ("audio/webm", "video/webm", "audio/ogg", "audio/mp4", "video/mp4")
MOST_FIELDS = 20
"""Of a form, which needs none: so many are read for an answer that names one."""
BASE64_GROWTH = 4 / 3
JSON_AROUND = 4096  # bytes of a JSON request that are not its clip


def prediction_routes(settings: Settings) -> list[BaseRoute]:
    """POST /v1/predict and POST /hf/{model}."""

    async def post_predict(request: Request) -> Response:
        caller = await MAY_PREDICT(request)
        query = parsed(PredictQuery, "query", request.query_params)
        return await predict(request, caller, query)

    async def post_classify(request: Request) -> Response:
        caller = await MAY_PREDICT(request)
        path = parsed(HuggingFacePath, "path", request.path_params)
        query = parsed(HuggingFaceQuery, "query", request.query_params)
        return await classify(request, caller, path.model, query)

    return [
        PlainRoute(
            "/v1/predict",
            post_predict,
            methods=["POST"],
            max_body_size=settings.max_predict_bytes,
        ),
        PlainRoute(
            "/hf/{model}",
            post_classify,
            methods=["POST"],
            max_body_size=most_bytes_of_base64(settings),
        ),
    ]


def most_bytes_of_base64(settings: Settings) -> int:
    """Of a body that holds the largest clip as base64 in JSON."""
    return int(settings.max_predict_bytes * BASE64_GROWTH) + JSON_AROUND


async def predict(request: Request, caller: Caller, query: PredictQuery) -> Response:
    """Our own answer."""
    if query.channel == "each":
        return await _predict_each(request, caller, query)
    with _until_gone():
        model, outcome = await state_of(request, PredictionState).predictions.score(
            query.model, _upload(request, _clip), owner=caller.owner, channel=query.channel
        )
    scores = hooks.encode_response(outcome.probabilities, model.config.labels)
    prediction: Prediction = {
        "object": "prediction",
        "model": model.id,
        "label": scores[0]["label"],
        "scores": scores[: query.top_k],
        "duration_s": round(outcome.duration_s, 6),
        "windows": outcome.windows,
        "warnings": _warned(outcome),
        "request_id": request.state.request_id,
    }
    if outcome.adversarial_score is not None:
        prediction["adversarial_score"] = outcome.adversarial_score
    return _answer(prediction, server_timing(outcome))


async def _predict_each(request: Request, caller: Caller, query: PredictQuery) -> Response:
    """Our own answer, of each channel."""
    with _until_gone():
        model, outcomes = await state_of(request, PredictionState).predictions.score_channels(
            query.model, _upload(request, _clip), owner=caller.owner
        )
    scored = {side: one for side, one in outcomes.items() if isinstance(one, ClipScores)}
    predictions: ChannelPredictions = {
        "object": "channel_predictions",
        "model": model.id,
        "duration_s": round(next(iter(scored.values())).duration_s, 6),
        "channels": [
            _channel(side, outcome, model, query.top_k) for side, outcome in outcomes.items()
        ],
        "request_id": request.state.request_id,
    }
    timing = ", ".join(server_timing(one, f"{side}-") for side, one in scored.items())
    return _answer(predictions, timing)


def _channel(
    side: Side, outcome: ClipScores | AudioError, model: LoadedModel, top_k: int | None
) -> ChannelPrediction:
    if isinstance(outcome, AudioError):
        return {
            "channel": side,
            "label": None,
            "scores": [],
            "windows": 0,
            "warnings": [],
            "error": {"code": outcome.code, "message": str(outcome)},
        }
    scores = hooks.encode_response(outcome.probabilities, model.config.labels)
    found: ChannelPrediction = {
        "channel": side,
        "label": scores[0]["label"],
        "scores": scores[:top_k],
        "windows": outcome.windows,
        # That one of two was taken is what was asked for.
        "warnings": [one for one in _warned(outcome) if one["code"] != "one_channel_of_two"],
        "error": None,
    }
    if outcome.adversarial_score is not None:
        found["adversarial_score"] = outcome.adversarial_score
    return found


def _warned(outcome: ClipScores) -> list[Warned]:
    return [
        {"code": code, "message": message, "value": value}
        for code, message, value in outcome.warnings
    ]


async def classify(
    request: Request, caller: Caller, model: str, query: HuggingFaceQuery
) -> Response:
    """Hugging Face's answer, to a clip or to JSON with the clip in it."""
    state = state_of(request, PredictionState)
    most = state.settings.max_predict_bytes
    top_k = query.top_k

    async def read(request: Request) -> bytes:
        nonlocal top_k
        if media_type(request) != "application/json":
            return _bounded(await _clip(request), most)
        asked, clip = await run_in_threadpool(_from_json, await request.body())
        top_k = asked.parameters.top_k or top_k if asked.parameters else top_k
        return _bounded(clip, most)

    with _until_gone():
        used, outcome = await state.predictions.score(
            model, _upload(request, read), owner=caller.owner, channel=query.channel
        )
    scores = hooks.encode_response(outcome.probabilities, used.config.labels, top_k)
    told = {"Serval-Warnings": warned(outcome)} if outcome.warnings else {}
    return _answer(scores, server_timing(outcome), told)


def warned(outcome: ClipScores) -> str:
    """Codes and values of the warnings, for an answer whose body has no place for them."""
    return ", ".join(f"{code}={value}" for code, _, value in outcome.warnings)


def _answer(
    content: Prediction | ChannelPredictions | list[Score],
    timing: str,
    more: Mapping[str, str] | None = None,
) -> Response:
    """The JSON, written once: FastAPI would check it first."""
    headers = {"Server-Timing": timing, **(more or {})}
    return Response(to_json(content), headers=headers, media_type="application/json")


def _upload(request: Request, read: Callable[[Request], Awaitable[bytes]]) -> Upload:
    """The clip of the request, which ``read`` reads."""
    most = state_of(request, PredictionState).settings.max_predict_bytes

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    return Upload(_announced(request, most), lambda: read(request), gone)


@contextmanager
def _until_gone() -> Iterator[None]:
    """A client that leaves in the middle of its body is told nothing."""
    try:
        yield
    except ClientDisconnect:
        raise ClientGone from None


def media_type(request: Request) -> str:
    """The Content-Type without its parameters, in lower case; "" if there is none."""
    return request.headers.get("content-type", "").split(";")[0].strip().lower()


def server_timing(outcome: ClipScores, of: str = "") -> str:
    """Where the time went, for browsers and logs (W3C Server Timing), in milliseconds."""
    return ", ".join(f"{of}{name};dur={ms:.2f}" for name, ms in outcome.timings.items())


async def _clip(request: Request) -> bytes:
    """The recording of the request, which is its body or the one part of its form."""
    kind = media_type(request)
    if kind == "multipart/form-data":
        most = state_of(request, PredictionState).settings.max_predict_bytes
        async with multipart(request, most_bytes=most, most_fields=MOST_FIELDS) as form:
            _no_parameters(form)
            no_others(form, "file")
            return await the_file(form).read()
    if kind and kind not in AUDIO_TYPES:
        help_on = f" {FROM_A_BROWSER}" if kind in RECORDED_BY_BROWSERS else ""
        raise UnsupportedMedia(
            f"The Content-Type is {shown(kind)}; send the recording as audio/wav"
            " (curl -H 'Content-Type: audio/wav' --data-binary @FILE), or as a form (curl -F"
            f" file=@FILE).{help_on}",
        )
    return await request.body()


def _no_parameters(form: FormData) -> None:
    """Tell whoever puts the parameters of the query into the form."""
    if misplaced := [name for name in form if name in PredictQuery.model_fields]:
        raise Invalid(
            f"The form has a part {shown(misplaced[0])}, which goes into the query: POST"
            f" /v1/predict?{misplaced[0]}=… with the recording as the part 'file'.",
            code="unknown_field",
        )


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
            f"`inputs` is not base64: {error}. Give the recording's bytes as base64.",
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
