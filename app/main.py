"""The web service, put together. Reads like a table of contents."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial

from fastapi import APIRouter, FastAPI
from fastapi.concurrency import run_in_threadpool
from fastapi_offline import FastAPIOffline

from app import __version__, openapi
from app.access.auth import AccessState, Keyring, may
from app.access.deletions import endpoints as deletions
from app.access.keys import endpoints as keys
from app.access.rates import Rates
from app.audits import endpoints as audits
from app.cards import endpoints as cards
from app.comparisons import endpoints as comparisons
from app.corpora import endpoints as corpora
from app.corpora.tables import Corpus
from app.detectors import endpoints as detectors
from app.erasure import endpoints as erasure
from app.http import body_timeout, cors, problems
from app.jobs.endpoints import job_routes
from app.jobs.events import Waiters, WaitersState
from app.jobs.metrics import JobsCollector, WorkersCollector
from app.jobs.queue import brief_client, living_workers
from app.jobs.services import Services
from app.migrations import upgrade
from app.observability import health, logs
from app.observability.health import ObservabilityState
from app.observability.metrics import Metrics
from app.observability.request_context import RequestContext
from app.operations.needs import parts
from app.persistence import orphans
from app.predictions.documented import documented_routes
from app.predictions.endpoints import prediction_routes
from app.predictions.service import Predictions, PredictionState
from app.registry import endpoints as registry
from app.registry.loaded import RegistryState
from app.registry.tables import Model
from app.replay import endpoints as replay
from app.reports import endpoints as reports
from app.settings import Settings, load_settings
from app.signing import endpoints as signing
from app.state import install_state, state_of
from app.studies import endpoints as studies
from app.studies.service import after_cancel
from app.trainings import endpoints as trainings

ROUTERS: tuple[APIRouter, ...] = (
    registry.router,
    detectors.router,
    cards.router,
    job_routes(None, may(), audits.JOBS | trainings.JOBS | studies.JOBS, after_cancel),
    audits.router,
    replay.router,
    signing.router,
    reports.router,
    comparisons.router,
    trainings.router,
    studies.router,
    corpora.router,
    keys.router,
    erasure.router,
    deletions.router,
)


@dataclass(frozen=True, kw_only=True)
class AppState(
    Services, AccessState, WaitersState, ObservabilityState, RegistryState, PredictionState
):
    """All that endpoints find of the application; each package sees its own part."""


def create_app(settings: Settings | None = None) -> FastAPI:
    """The ASGI application. Nothing is opened or started before its lifespan begins."""
    settings = settings or load_settings()
    state = _assemble(settings)
    app = FastAPIOffline(  # /docs and /redoc ask no other server for their scripts
        routes=prediction_routes(settings),  # before all others, so that they are found first
        title="Serval",
        version=__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        openapi_tags=TAGS,
        redirect_slashes=False,
        form_limits={"max_fields": 20, "max_part_size": settings.max_json_bytes},
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    install_state(app, state)
    problems.install(app)
    openapi.install(app)
    body_timeout.install(app)
    app.add_middleware(RequestContext, metrics=state.metrics)
    cors.install(app, [one for one in settings.cors_origins.split(",") if one])
    for router in (documented_routes(settings), *ROUTERS):
        app.include_router(
            router,
            max_body_size=settings.max_json_bytes,  # routes that take files say more themselves
            responses=problems.problems(401, 403, 422) | problems.any_problem(),
        )
    app.include_router(health.router, responses=problems.any_failure())
    return app


def _assemble(settings: Settings) -> AppState:
    redis = brief_client(settings.redis_url, timeout_seconds=settings.redis_timeout_seconds)
    services = Services.open(settings, redis)
    metrics = Metrics()
    metrics.registry.register(JobsCollector(services.sessions))
    metrics.registry.register(WorkersCollector(services.queue))
    predictions = Predictions(settings, services.sessions, services.storage, metrics.registry)
    checks: dict[str, health.Check] = {
        "predictions": predictions.check,
        **parts(services),
        "queue": services.queue.ping,  # which says what went wrong as anybody may be told
    }
    return AppState(
        settings=settings,
        engine=services.engine,
        sessions=services.sessions,
        storage=services.storage,
        queue=services.queue,
        keyring=Keyring(services.sessions, cache_seconds=settings.key_cache_seconds),
        rates=Rates(settings),
        waiters=Waiters(settings.max_waiters),
        metrics=metrics,
        readiness=health.Readiness(checks, partial(living_workers, services.queue)),
        predictions=predictions,
        loaded_models=predictions.models,
    )


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Make ready what requests need; put it away at the end."""
    state = state_of(app, AppState)
    logs.configure(state.settings.log_level, state.settings.log_format)
    state.storage.prepare()
    await run_in_threadpool(upgrade, state.settings.database_url)
    await run_in_threadpool(_collect_orphans, state)
    await state.predictions.start()
    try:
        yield
    finally:
        await state.predictions.stop()
        await state.rates.close()
        state.close()


def _collect_orphans(state: AppState) -> None:
    """Remove what a crash left of corpora and models. What it left of jobs the reconciler does."""
    orphans.collect(state.sessions, state.storage, "corpora", Corpus.id)
    orphans.collect(state.sessions, state.storage, "models", Model.id)


DESCRIPTION = """Predicts emotions from speech, audits how well a model withstands adversarial
attacks, and trains hardened ones."""

TAGS = [
    {"name": "predictions", "description": "The emotion of a clip, at once."},
    {"name": "models", "description": "What predicts and is audited: starters, yours, trained."},
    {"name": "jobs", "description": "Audits, trainings and studies together."},
    {"name": "audits", "description": "How well a model withstands attacks, with evidence."},
    {"name": "comparisons", "description": "Audits beside each other, and whether that ranks."},
    {"name": "trainings", "description": "Make a model, hardened or not, from a corpus."},
    {"name": "studies", "description": "A grid of trainings with their audits, as tables."},
    {"name": "corpora", "description": "Labelled speech to audit and to train with."},
    {"name": "keys", "description": "API keys, for admins."},
    {"name": "health", "description": "For machines that watch the service."},
]
