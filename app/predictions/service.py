"""Predictions: the parts put together, for whoever has a clip."""

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Literal, TypeVar

import structlog
import torch
from fastapi.concurrency import run_in_threadpool
from prometheus_client import CollectorRegistry, Gauge, Histogram
from sqlalchemy.orm import Session, sessionmaker

from app.devices import chosen_device
from app.errors import (
    ClientGone,
    Invalid,
    NotFound,
    ServalError,
    TooSlow,
    Unavailable,
    shown,
)
from app.persistence.storage import Storage
from app.predictions.admission import Admission
from app.predictions.audio_problems import audio_problem
from app.predictions.cores import free_cores
from app.predictions.engine import Engine
from app.predictions.hooks import Limits
from app.predictions.request_queue import ClipScores
from app.predictions.scorer import THREADS, WINDOWS_A_CORE, Scorer
from app.registry.loaded import LoadedModel, LoadedModels
from app.settings import Settings
from models.audio import AudioError, Channel, encode_wav, read_header

log = structlog.get_logger("serval.predictions")

PATIENCE_SECONDS = 0.1
"""A clip that takes longer is waiting for others: from then on its client is watched."""
WARM_UP_AGAIN_SECONDS = 30.0
BATCH_BUCKETS = (1, 2, 4, 8, 16, 32, 64, 128)

T = TypeVar("T")
Side = Literal["left", "right"]
SIDES: Final[tuple[Side, Side]] = ("left", "right")
"""The channels of a clip; a lone one is the left one."""


@dataclass(frozen=True)
class Upload:
    """A clip on its way.

    Attributes:
        size: bytes of the body, as announced.
        body: reads the body, once there is a place for it.
        gone: returns when nobody waits for the answer any more.
    """

    size: int
    body: Callable[[], Awaitable[bytes]]
    gone: Callable[[], Awaitable[None]]


class Predictions:
    """What predicts: the loaded models, the places for requests, the inference lanes.

    Attributes:
        models: the models in memory. Who deletes one tells it to forget it.
        admission: the places for requests that are under way.
    """

    def __init__(
        self,
        settings: Settings,
        sessions: sessionmaker[Session],
        storage: Storage,
        metrics: CollectorRegistry,
    ) -> None:
        device = chosen_device(settings.device)
        self._settings = settings
        self._unfit: str | None = None
        self._warming: asyncio.Task[None] | None = None
        self.admission = Admission(settings.predict_queue, settings.predict_queue_bytes)
        self.models = LoadedModels(
            sessions,
            storage,
            device=device,
            most=settings.loaded_models,
            most_bytes=settings.loaded_models_bytes,
        )
        batches = Histogram(
            "serval_predict_batch_windows",
            "Windows that went through a network at one time.",
            buckets=BATCH_BUCKETS,
            registry=metrics,
        )
        limits = Limits(settings.max_clip_seconds, settings.max_clip_windows)
        on_cpu = device.type == "cpu"
        most = WINDOWS_A_CORE if on_cpu else settings.predict_batch
        self.engine = Engine(
            Scorer(device, limits, most),
            lanes=THREADS if on_cpu else 1,
            most_clips=most,
            cores=free_cores(THREADS) if on_cpu and THREADS > 1 else None,
            stuck_seconds=settings.predict_timeout_seconds,
            on_batch=batches.observe,
        )
        waiting = Gauge("serval_predict_waiting", "Predictions under way.", registry=metrics)
        waiting.set_function(lambda: self.admission.requests)
        loaded = Gauge("serval_loaded_models", "Models in memory.", registry=metrics)
        loaded.set_function(lambda: len(self.models))

    def check(self) -> None:
        """Return if predictions work.

        Raises:
            Unavailable: saying why they do not.
        """
        self.engine.check()
        if self._unfit is not None:
            raise Unavailable(f"The default model does not predict: {self._unfit}")

    async def start(self) -> None:
        """Start the inference lanes, and let the default model score a clip.

        The first prediction is slow: memory is fetched, kernels are chosen. No client waits for it.
        One that fails is told by `check`, and tried again until it succeeds.
        """
        self.engine.start()
        if self._settings.warm_up and not await self._warm_up():
            self._warming = asyncio.create_task(self._warm_up_again())

    async def _warm_up(self) -> bool:
        """Whether the default model scores a clip, or there is none."""
        try:
            model = await self.model(None, owner="")
            hiss = torch.rand(16_000, generator=torch.Generator().manual_seed(0)).numpy()
            await self.engine.submit(model, encode_wav(hiss))
        except NotFound as error:
            log.warning("no default model", detail=error.detail)
        except Exception as error:  # a device that fails must not take the whole service with it
            log.exception("the default model does not predict")
            self._unfit = (
                error.detail
                if isinstance(error, ServalError)
                else f"{type(error).__name__}. The log says more."
            )
            return False
        self._unfit = None
        return True

    async def _warm_up_again(self) -> None:
        """What is not ready gets no traffic, so no request would notice that the device is free
        again."""
        while True:
            await asyncio.sleep(WARM_UP_AGAIN_SECONDS)
            if await self._warm_up():
                return

    async def stop(self) -> None:
        """Finish what was submitted, and end the threads."""
        if self._warming is not None:
            self._warming.cancel()
        await run_in_threadpool(self.engine.stop)

    async def model(self, model_id: str | None, *, owner: str) -> LoadedModel:
        """The named model, or the default one, loaded.

        Raises:
            NotFound: there is none of that name for this owner.
        """
        if model_id is not None:
            return await self.models.get(model_id, owner=owner)
        default = self._settings.default_model
        try:
            return await self.models.get(default, owner=owner)
        except NotFound:
            raise NotFound(
                f"There is no model {shown(default)}, which is the default here"
                " (SERVAL_DEFAULT_MODEL). Name another with ?model=; GET /v1/models lists them."
            ) from None

    async def score(
        self, model_id: str | None, clip: Upload, *, owner: str, channel: Channel = "loudest"
    ) -> tuple[LoadedModel, ClipScores]:
        """Score one clip, within the time that a prediction may take.

        Args:
            model_id: None for the default model.
            channel: which of two.

        Raises:
            NotFound: there is no such model.
            BadRequest, Invalid: the audio is not accepted.
            TooMany: there is no place.
            TooSlow: the body did not come in that time.
            Unavailable: it took too long, or predictions do not work.
            ClientGone: nobody waits for the answer.
        """

        def submit(model: LoadedModel, body: bytes) -> asyncio.Future[ClipScores]:
            return self.engine.submit(model, body, channel)

        model, outcome = await self._score(model_id, clip, owner, submit)
        _check_finite(model, outcome)
        return model, outcome

    async def score_channels(
        self, model_id: str | None, clip: Upload, *, owner: str
    ) -> tuple[LoadedModel, dict[Side, ClipScores | AudioError]]:
        """Score each channel of a clip as one of its own, as `score` does.

        Returns:
            The model, and for each channel its scores, or why it has none: of two parties on a
            line, one may be silent. One channel at least has scores.

        Raises:
            As `score`; BadRequest or Invalid if no channel is accepted.
        """
        sides: tuple[Side, ...] = ()

        def submit(
            model: LoadedModel, body: bytes
        ) -> asyncio.Future[list[ClipScores | BaseException]]:
            nonlocal sides
            layout = read_header(body, max_seconds=self._settings.max_clip_seconds)
            sides = SIDES[: layout.channels]
            each = [self.engine.submit(model, body, side) for side in sides]
            return asyncio.gather(*each, return_exceptions=True)

        model, outcomes = await self._score(model_id, clip, owner, submit)
        found: dict[Side, ClipScores | AudioError] = {}
        for side, outcome in zip(sides, outcomes, strict=True):
            if isinstance(outcome, ClipScores):
                _check_finite(model, outcome)
            elif not isinstance(outcome, AudioError):
                raise outcome
            found[side] = outcome
        faults = [one for one in found.values() if isinstance(one, AudioError)]
        if len(faults) == len(found):
            raise audio_problem(faults[0])
        return model, found

    async def _score(
        self,
        model_id: str | None,
        clip: Upload,
        owner: str,
        submit: Callable[[LoadedModel, bytes], asyncio.Future[T]],
    ) -> tuple[LoadedModel, T]:
        """What ``submit`` hands to the engine, once there is a place and the body is there."""
        scores: asyncio.Future[T] | None = None
        model: LoadedModel | None = None
        seconds = self._settings.predict_timeout_seconds
        self.admission.take(clip.size)
        try:
            async with asyncio.timeout(seconds) as limit:
                model = await self.model(model_id, owner=owner)
                scores = submit(model, await clip.body())
                outcome = await _unless(clip.gone, scores)
        except AudioError as error:
            raise audio_problem(error) from None
        except TimeoutError:
            if not limit.expired():
                raise
            if model is not None and scores is None:
                raise TooSlow(
                    f"The body was not here after {seconds:g} s. Send it over a faster line.",
                    code="upload_too_slow",
                ) from None
            raise Unavailable(
                f"The prediction was not ready after {seconds:g} s, the upload included."
                " Send it again.",
                code="predict_timeout",
            ) from None
        finally:
            self.admission.give_back(clip.size)
        return model, outcome


@dataclass(frozen=True, kw_only=True)
class PredictionState:
    """What predicting needs of the application's state."""

    settings: Settings
    predictions: Predictions


def _check_finite(model: LoadedModel, outcome: ClipScores) -> None:
    if not all(math.isfinite(each) for each in outcome.probabilities):
        raise Invalid(
            f"The model {model.id} gives NaN for this clip: its weights overflow.",
            code="non_finite_scores",
        )
    if outcome.adversarial_score is not None and not math.isfinite(outcome.adversarial_score):
        raise Invalid(
            f"The detector of {model.id} gives NaN for this clip: its weights overflow. Train"
            f" another, or DELETE /v1/models/{model.id}/detector.",
            code="non_finite_scores",
        )


async def _unless(gone: Callable[[], Awaitable[None]], clip: "asyncio.Future[T]") -> T:
    """The outcome of the clip, which is given up when nobody waits for it any more.

    Most clips are ready before anybody could leave: only those that wait are watched.
    """
    watch: asyncio.Future[None] | None = None

    def look() -> None:
        nonlocal watch
        watch = asyncio.ensure_future(gone())
        watch.add_done_callback(lambda _: clip.cancel())

    later = asyncio.get_running_loop().call_later(PATIENCE_SECONDS, look)
    try:
        return await clip
    except asyncio.CancelledError:
        if watch is not None and watch.done() and not watch.cancelled():
            raise ClientGone from None
        raise
    finally:
        later.cancel()
        if watch is not None:
            watch.cancel()
