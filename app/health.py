"""Alive, ready, and how it goes: for machines that watch the service, with GET or HEAD."""

from collections.abc import Callable
from typing import Literal

import structlog
from fastapi import APIRouter, Request, Response
from fastapi.concurrency import run_in_threadpool
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import Field

from app.errors import FieldProblem, ServalError, Unavailable
from app.problems import problems
from app.schemas import Schema

log = structlog.get_logger("serval.health")

router = APIRouter(tags=["health"])

Check = Callable[[], None]
"""Returns if the part is ready; raises if it is not. Takes two seconds at most. The words of a
ServalError are told to everybody; those of any other exception to the log alone."""


class Alive(Schema):
    """The process answers."""

    status: Literal["alive"] = "alive"


class Ready(Schema):
    """Every part answers."""

    status: Literal["ready"] = "ready"
    checks: dict[str, Literal["ok"]] = Field(examples=[{"database": "ok", "queue": "ok"}])


@router.head("/healthz", include_in_schema=False)
@router.get("/healthz", summary="Alive?")
async def healthz() -> Alive:
    """Whether the process is alive. Touches nothing else."""
    return Alive()


@router.head("/readyz", include_in_schema=False)
@router.get("/readyz", summary="Ready?", responses=problems(503))
def readyz(request: Request) -> Ready:
    """Whether all that a request may need is there; if not, what is missing and why."""
    checks: dict[str, Check] = request.app.state.checks
    failed = {
        name: why for name, check in checks.items() if (why := _why_not(name, check)) is not None
    }
    if failed:
        told = "; ".join(f"{name}: {why}" for name, why in failed.items())
        error = Unavailable(f"Not ready: {told}", code="not_ready", retry_after=2)
        error.errors = [FieldProblem(field=name, message=why) for name, why in failed.items()]
        raise error
    return Ready(checks=dict.fromkeys(checks, "ok"))


def _why_not(name: str, check: Check) -> str | None:
    try:
        check()
    except ServalError as error:
        return error.detail
    except Exception as error:  # noqa: BLE001  (whatever breaks a part is the answer here)
        # It may hold addresses, paths, statements: whoever asks here needs no key.
        log.warning("not ready", part=name, error=f"{type(error).__name__}: {error}")
        return f"it failed with {type(error).__name__}; the service's log says more"
    return None


@router.head("/metrics", include_in_schema=False)
@router.get(
    "/metrics",
    summary="How it goes",
    response_class=Response,
    responses={200: {"content": {"text/plain": {}}}},
)
async def metrics(request: Request) -> Response:
    """Prometheus metrics of this process, and the jobs by status while the database answers."""
    request.app.state.access_log.flush()
    content = await run_in_threadpool(generate_latest, request.app.state.metrics.registry)
    return Response(content, media_type=CONTENT_TYPE_LATEST)
