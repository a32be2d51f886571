"""Alive, ready, and how it goes: for machines that watch the service, with GET or HEAD."""

import time
from asyncio import Lock
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

import structlog
from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from pydantic import Field

from app.errors import FieldProblem, ServalError, Unavailable
from app.http.listed_headers import joined
from app.http.problems import problems
from app.observability.exposition import exposition
from app.observability.metrics import Metrics
from app.persistence.disk import is_full
from app.schemas import Schema
from app.state import state_of

log = structlog.get_logger("serval.health")

router = APIRouter(tags=["health"])

Check = Callable[[], object]
"""Returns if the part is ready; raises if it is not. Takes two seconds at most. The words of a
ServalError are told to everybody; those of any other exception to the log alone."""


BELIEVED_SECONDS: Final = 1.0
"""How long a result counts: anybody may ask, as often as he likes."""


class Seen(NamedTuple):
    """What one look found.

    Attributes:
        failed: what is not ready, and why.
        workers: how many live, by queue; empty if something is not ready.
    """

    failed: Mapping[str, str]
    workers: Mapping[str, int]


class Readiness:
    """Runs the checks for all who ask: in one thread, and not again before the last result is old.

    Checks of their own would let a few hundred probes fill the thread pool while Redis is silent.

    Args:
        checks: what requests cannot do without.
        workers: counts the living, by queue. Requests do without them.
        now: a clock, in seconds.
    """

    def __init__(
        self,
        checks: dict[str, Check],
        workers: Callable[[], Mapping[str, int]] = dict,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self.checks = checks
        self._workers = workers
        self._now = now
        self._running = Lock()
        self._seen = Seen({}, {})
        self._until = float("-inf")

    async def look(self) -> Seen:
        """What was found now, or a moment ago."""
        async with self._running:
            if self._now() >= self._until:
                self._seen = await run_in_threadpool(self._look)
                self._until = self._now() + BELIEVED_SECONDS
            return self._seen

    def _look(self) -> Seen:
        found = {name: _why_not(name, check) for name, check in self.checks.items()}
        failed = {name: why for name, why in found.items() if why is not None}
        return Seen(failed, {} if failed else self._workers())


@dataclass(frozen=True, kw_only=True)
class ObservabilityState:
    """What the endpoints for machines need of the application's state."""

    metrics: Metrics
    readiness: Readiness


class Alive(Schema):
    """The process answers."""

    status: Literal["alive"] = "alive"


class Ready(Schema):
    """Every part that requests need answers."""

    status: Literal["ready", "degraded"] = Field(
        description="`degraded`: no worker lives for one of the queues, so its jobs wait."
    )
    checks: dict[str, Literal["ok"]] = Field(examples=[{"database": "ok", "queue": "ok"}])
    workers: dict[str, int] = Field(
        description="How many live, by queue. One that was killed is missed within a minute.",
        examples=[{"audits": 1, "trainings": 1}],
    )


@router.head("/healthz", include_in_schema=False)
@router.get("/healthz", summary="Alive?")
async def healthz() -> Alive:
    """Whether the process is alive. Touches nothing else."""
    return Alive()


@router.head("/readyz", include_in_schema=False)
@router.get("/readyz", summary="Ready?", responses=problems(503))
async def readyz(request: Request) -> Ready:
    """Whether all that a request may need is there, or was a second ago; if not, what is missing
    and why. Workers that are dead are told and no reason to send requests elsewhere: predictions go
    on, jobs are accepted and wait, and other instances have no other workers."""
    readiness = state_of(request, ObservabilityState).readiness
    failed, workers = await readiness.look()
    if failed:
        message = "; ".join(f"{name}: {why}" for name, why in failed.items())
        error = Unavailable(f"Not ready: {message}", code="not_ready", retry_after=2)
        error.errors = [FieldProblem(field=name, message=why) for name, why in failed.items()]
        raise error
    return Ready(
        status="ready" if all(workers.values()) else "degraded",
        checks=dict.fromkeys(readiness.checks, "ok"),
        workers=dict(workers),
    )


def _why_not(name: str, check: Check) -> str | None:
    try:
        check()
    except ServalError as error:
        return error.detail
    except Exception as error:  # noqa: BLE001  (whatever breaks a part is the answer here)
        # It may hold addresses, paths, statements: whoever asks here needs no key.
        log.warning("not ready", part=name, error=f"{type(error).__name__}: {error}")
        if is_full(error):
            return "its disk is full"
        return f"it failed with {type(error).__name__}; the service's log says more"
    return None


@router.head("/metrics", include_in_schema=False)
@router.get(
    "/metrics",
    summary="How it goes",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}, "application/openmetrics-text": {}}}},
)
async def metrics(request: Request) -> Response:
    """Prometheus metrics of this process, and the jobs by status while the database answers; as
    OpenMetrics 1.0.0 or as text 0.0.4 or 1.0.0, which the Accept header chooses."""
    registry = state_of(request, ObservabilityState).metrics.registry
    encode, content_type = exposition(joined(request.headers, "accept"))
    content = await run_in_threadpool(encode, registry)
    return Response(content, headers={"Content-Type": content_type, "Vary": "Accept"})
