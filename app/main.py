"""The web service, put together. Reads like a table of contents."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from fastapi import APIRouter, FastAPI
from fastapi.concurrency import run_in_threadpool
from fastapi_offline import FastAPIOffline

from app import __version__, openapi
from app.access.auth import Keyring, may
from app.access.keys import endpoints as keys
from app.access.rates import Rates
from app.audits import endpoints as audits
from app.audits import examples as audit_examples
from app.corpora import endpoints as corpora
from app.corpora.tables import Corpus
from app.http import body_timeout, problems
from app.jobs.endpoints import job_routes
from app.jobs.events import Waiters
from app.jobs.metrics import JobsCollector
from app.jobs.queue import JobQueue, brief_client
from app.migrations import check_revision, upgrade
from app.observability import health, logs
from app.observability.metrics import Metrics
from app.observability.request_context import RequestContext
from app.persistence import orphans
from app.persistence.database import connect, sessions
from app.persistence.storage import Storage
from app.predictions.documented import documented_routes
from app.predictions.endpoints import prediction_routes
from app.predictions.service import Predictions
from app.registry import endpoints as registry
from app.registry.tables import Model
from app.settings import Settings, load_settings
from app.trainings import endpoints as trainings
from app.trainings import examples as training_examples

ROUTERS: tuple[APIRouter, ...] = (
    registry.router,
    job_routes(None, may(), audit_examples.JOBS | training_examples.JOBS),
    audits.router,
    trainings.router,
    corpora.router,
    keys.router,
)


def create_app(settings: Settings | None = None) -> FastAPI:
    """The ASGI application. Nothing is opened or started before its lifespan begins."""
    settings = settings or load_settings()
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
    _equip(app, settings)
    problems.install(app)
    openapi.install(app)
    body_timeout.install(app)
    app.add_middleware(RequestContext, metrics=app.state.metrics)
    for router in (documented_routes(settings), *ROUTERS):
        app.include_router(
            router,
            max_body_size=settings.max_json_bytes,  # routes that take files say more themselves
            responses=problems.problems(401, 403, 422) | problems.any_problem(),
        )
    app.include_router(health.router, responses=problems.any_failure())
    return app


def _equip(app: FastAPI, settings: Settings) -> None:
    """Give the application its parts: what an endpoint finds in `request.app.state`."""
    state = app.state
    state.settings = settings
    state.engine = connect(settings.database_url)
    state.sessions = sessions(state.engine)
    state.storage = Storage(settings.data_dir)
    state.queue = JobQueue(
        brief_client(settings.redis_url, timeout_seconds=settings.redis_timeout_seconds),
        job_timeout_seconds=settings.job_timeout_seconds,
        failure_ttl_seconds=settings.job_failure_ttl_seconds,
    )
    state.keyring = Keyring(state.sessions, cache_seconds=settings.key_cache_seconds)
    state.rates = Rates(settings)
    state.waiters = Waiters(settings.max_waiters)
    state.metrics = Metrics()
    state.metrics.registry.register(JobsCollector(state.sessions))
    state.predictions = Predictions(settings, state.sessions, state.storage, state.metrics.registry)
    state.checks = {
        "predictions": state.predictions.check,
        "database": partial(check_revision, state.engine),
        "queue": state.queue.ping,
        "storage": state.storage.check,
    }
    state.readiness = health.Readiness(state.checks)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Make ready what requests need; put it away at the end."""
    settings: Settings = app.state.settings
    logs.configure(settings.log_level, settings.log_format)
    app.state.storage.prepare()
    await run_in_threadpool(upgrade, settings.database_url)
    await run_in_threadpool(_collect_orphans, app)
    await app.state.predictions.start()
    try:
        yield
    finally:
        await app.state.predictions.stop()
        app.state.queue.close()
        app.state.engine.dispose()


def _collect_orphans(app: FastAPI) -> None:
    """Remove what a crash left of corpora and models. What it left of jobs the reconciler does."""
    orphans.collect(app.state.sessions, app.state.storage, "corpora", Corpus.id)
    orphans.collect(app.state.sessions, app.state.storage, "models", Model.id)


DESCRIPTION = """Predicts emotions from speech, audits how well a model withstands adversarial
attacks, and trains hardened ones."""

TAGS = [
    {"name": "predictions", "description": "The emotion of a clip, at once."},
    {"name": "models", "description": "What predicts and is audited: starters, yours, trained."},
    {"name": "jobs", "description": "Audits and trainings together."},
    {"name": "audits", "description": "How well a model withstands attacks, with evidence."},
    {"name": "trainings", "description": "Make a model, hardened or not, from a corpus."},
    {"name": "corpora", "description": "Labelled speech to audit and to train with."},
    {"name": "keys", "description": "API keys, for admins."},
    {"name": "health", "description": "For machines that watch the service."},
]
