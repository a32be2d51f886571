"""The routes that all kinds of jobs have in common, made once for each kind."""

from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, Header, HTTPException, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic import Field
from sqlalchemy.orm import Session
from starlette.datastructures import Headers
from starlette.routing import Match
from starlette.types import Scope

from app.access.auth import Caller, may
from app.errors import Forbidden, Invalid, Unauthorized, shown
from app.http.etags import IfNoneMatch, etag, unchanged
from app.http.headers import ETAG, PREFERENCE_APPLIED, Examples, answer, location
from app.http.listed_headers import joined
from app.http.negotiation import NegotiatedRoute, best
from app.http.prefer import Prefer, wait_seconds
from app.http.problems import problems
from app.http.queries import NoQuery, PageQuery
from app.jobs import deletion, events, service
from app.jobs.events import WaitersState
from app.jobs.retention import Retention
from app.jobs.schemas import Event, Job, JobStatus
from app.jobs.services import Services, ServicesDep
from app.jobs.states import JobKind
from app.persistence.database import SessionDep
from app.schemas import Page, Schema
from app.settings import Settings
from app.state import state_of

JobId = Annotated[str, Path(examples=["audit_01K9ZQ3W8M4V7T2X6B5N0C1DEF"])]


class JobsQuery(PageQuery):
    """Which jobs to list."""

    status: JobStatus | None = None


class StreamQuery(Schema):
    """Where a stream of events begins."""

    after: int = Field(
        default=0, ge=0, le=2**31 - 1, description="The id of the last event that was seen."
    )


class EventsQuery(StreamQuery):
    """Which events to list."""

    limit: int = Field(default=100, ge=1, le=events.MOST_EVENTS, description="How many at most.")


RESUME: dict[str, Any] = {
    "parameters": [
        {
            "name": "Last-Event-ID",
            "in": "header",
            "schema": {"type": "integer", "minimum": 0},
            "description": "Of a stream: the last event that was seen. An `EventSource` sends it by"
            " itself when it connects again; it counts before `after`.",
            "example": 3,
        }
    ]
}
STREAM = """id: 3
event: step
data: {"id":3,"type":"step","created_at":"2026-03-01T12:00:00.000Z","data":{"iteration":5}}

event: progress
data: {"done":5,"total":1250,"unit":"iterations","eta_seconds":97.1}

"""


def accepted(examples: Examples) -> dict[int | str, dict[str, Any]]:
    """OpenAPI's description of a job that was queued, for ``responses=``."""
    path = next(iter(examples.values()))["value"]["urls"]["self"]
    return {202: answer(location(path) | ETAG, examples)}


EVENTS: Final = {"list": "application/json", "stream": "text/event-stream"}


class StreamRoute(NegotiatedRoute):
    """A route that only requests for a stream find; others go on to the next route."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, found = super().matches(scope)
        if match is Match.NONE or _form(scope) != "stream":
            return Match.NONE, {}
        return match, found


def _form(scope: Scope) -> str | None:
    """Of the `EVENTS`, the form that the client likes best."""
    return best(joined(Headers(scope=scope), "accept"), EVENTS)


def _last_event_id(
    value: Annotated[str | None, Header(alias="Last-Event-ID", include_in_schema=False)] = None,
) -> int | None:
    if value is None or not value.strip():
        return None
    if not (value.isascii() and value.isdigit() and len(value) < 10):
        raise Invalid(f"Last-Event-ID {shown(value)} is not the id of an event: give its number.")
    return int(value)


LastEventId = Annotated[int | None, Depends(_last_event_id)]


ANY_KEY: Final = may()
"""Asked again by what takes long: the key may have been revoked meanwhile."""


async def _still_may(request: Request) -> bool:
    """Whether the request's key is one still. The keyring believes what it found for a moment, so
    that asking at each look costs little."""
    try:
        await ANY_KEY(request)
    except (Unauthorized, Forbidden):
        return False
    return True


def resource(
    session: Session, job_id: str, caller: Caller, kind: JobKind | None, settings: Settings
) -> tuple[Job, str]:
    """The job as the caller sees it, and its ETag."""
    row = service.get(session, job_id, owner=caller.owner, kind=kind)
    links = service.caused(session, [job_id])
    job = Job.of(row, links.get(job_id, ()), retention=Retention.of(settings))
    return job, etag(row.version, job.expires_at, job.audio_expires_at)


AfterCancel = Callable[[Services, str], None]


def _nothing(_services: Services, _job_id: str) -> None:
    """A worker sees by itself that its job was cancelled."""


def job_routes(
    kind: JobKind | None,
    caller_may: Any,
    examples: Examples | None = None,
    after_cancel: AfterCancel = _nothing,
) -> APIRouter:
    """List, get, cancel, delete and follow jobs of one kind, or of all with None.

    Args:
        kind: what the routes serve.
        caller_may: the dependency that says who may use them, such as ``may(Scope.AUDIT)``.
        examples: jobs of that kind, for the OpenAPI document.
        after_cancel: told of each job that somebody has cancelled.
    """
    collection = kind.collection if kind else "jobs"
    router = APIRouter(prefix=f"/v1/{collection}", tags=[collection])
    who = Annotated[Caller, Depends(caller_may)]
    _add_list(router, kind, who)
    _add_get(router, kind, who, examples)
    _add_cancel(router, kind, who, after_cancel)
    for add in (_add_delete, _add_stream, _add_events):
        add(router, kind, who)
    return router


# Below, `MayRead` is `Annotated[Caller, Depends(...)]`: FastAPI reads it when the route is made.


def _add_list(router: APIRouter, kind: JobKind | None, MayRead: Any) -> None:  # noqa: N803
    @router.get("", summary="List them", responses=problems(422))
    def list_jobs(
        session: SessionDep,
        services: ServicesDep,
        caller: MayRead,
        query: Annotated[JobsQuery, Query()],
    ) -> Page[Job]:
        """Yours, newest first."""
        rows, has_more = service.list_page(
            session,
            owner=caller.owner,
            kind=kind,
            status=query.status,
            after=query.after,
            limit=query.limit,
        )
        links = service.caused(session, [row.id for row in rows])
        retention = Retention.of(services.settings)
        found = [Job.of(row, links.get(row.id, ()), retention=retention) for row in rows]
        return Page(data=found, has_more=has_more)


def _add_get(
    router: APIRouter,
    kind: JobKind | None,
    MayRead: Any,  # noqa: N803
    examples: Examples | None,
) -> None:
    @router.get(
        "/{job_id}",
        summary="Its state and, at the end, its result",
        response_model=Job,
        responses={
            200: answer(ETAG | PREFERENCE_APPLIED, examples),
            304: answer(ETAG, description="Not changed since that ETag."),
            **problems(404, 410, 429),
        },
    )
    async def get_job(
        job_id: JobId,
        request: Request,
        response: Response,
        services: ServicesDep,
        caller: MayRead,
        _query: NoQuery,
        prefer: Prefer = None,
        if_none_match: IfNoneMatch = None,
    ) -> Job | Response:
        """With `Prefer: wait=30` the answer comes when the job has ended, or after 30 seconds; at
        once if the service is being stopped."""

        def read() -> tuple[Job, str]:
            with services.sessions() as session:
                return resource(session, job_id, caller, kind, services.settings)

        job, tag = await run_in_threadpool(read)
        seconds = wait_seconds(prefer, most=services.settings.max_wait_seconds)
        if seconds and not job.status.terminal:
            await _wait(request, services, job_id, caller, seconds)
            await ANY_KEY(request)
            job, tag = await run_in_threadpool(read)
        headers = {"ETag": tag}
        if seconds:
            headers["Preference-Applied"] = f"wait={seconds:g}"
        if unchanged(if_none_match, tag):
            return Response(status_code=304, headers=headers)
        response.headers.update(headers)
        return job


async def _wait(
    request: Request, services: Services, job_id: str, caller: Caller, seconds: float
) -> None:
    waiters = state_of(request, WaitersState).waiters
    with waiters.one(caller.owner):
        await events.until_terminal(
            services.sessions,
            job_id,
            seconds=seconds,
            poll_seconds=services.settings.poll_seconds,
            waiters=waiters,
            gone=request.is_disconnected,
        )


def _add_cancel(
    router: APIRouter,
    kind: JobKind | None,
    MayRead: Any,  # noqa: N803
    after_cancel: AfterCancel,
) -> None:
    @router.post("/{job_id}/cancel", summary="Cancel it", responses=problems(404, 410))
    def cancel_job(
        job_id: JobId,
        session: SessionDep,
        services: ServicesDep,
        caller: MayRead,
        _query: NoQuery,
    ) -> Job:
        """A queued job is cancelled at once, a running one within a second; a study with the
        trainings and audits that it has begun. One that has ended stays as it ended; cancelling
        twice is the same as once."""
        service.cancel(session, job_id, owner=caller.owner, kind=kind)
        after_cancel(services, job_id)
        return resource(session, job_id, caller, kind, services.settings)[0]


def _add_delete(router: APIRouter, kind: JobKind | None, MayRead: Any) -> None:  # noqa: N803
    @router.delete(
        "/{job_id}", summary="Delete it", status_code=204, responses=problems(404, 409, 410)
    )
    def delete_job(
        job_id: JobId,
        session: SessionDep,
        services: ServicesDep,
        caller: MayRead,
        _query: NoQuery,
    ) -> Response:
        """Delete a job that has ended, with its events and files. A model that it trained stays.
        Jobs that it caused stay too, and must have ended."""
        deletion.delete(session, services.storage, job_id, owner=caller.owner, kind=kind)
        return Response(status_code=204)


def _add_stream(router: APIRouter, kind: JobKind | None, MayRead: Any) -> None:  # noqa: N803
    def last_seen(
        job_id: JobId,
        services: ServicesDep,
        caller: MayRead,
        query: Annotated[StreamQuery, Query()],
        last: LastEventId,
    ) -> int:
        """The event to go on after. What is to be refused is refused before the stream begins."""
        seq = query.after if last is None else last
        with services.sessions() as session:
            row = service.get(session, job_id, owner=caller.owner, kind=kind)
        if row.status.terminal and seq >= row.version:
            raise HTTPException(204)  # tells an EventSource to stop reconnecting
        return seq

    async def place(request: Request, caller: MayRead) -> AsyncIterator[None]:
        with state_of(request, WaitersState).waiters.one(caller.owner):
            yield

    async def follow_job(
        job_id: JobId,
        request: Request,
        services: ServicesDep,
        seq: Annotated[int, Depends(last_seen)],
        _place: Annotated[None, Depends(place)],
    ) -> AsyncIterator[ServerSentEvent]:
        async for event in events.follow(
            services.sessions,
            job_id,
            seq=seq,
            poll_seconds=services.settings.poll_seconds,
            waiters=state_of(request, WaitersState).waiters,
            may_follow=partial(_still_may, request),
        ):
            yield event

    router.add_api_route(
        "/{job_id}/events",
        follow_job,
        methods=["GET"],
        response_class=EventSourceResponse,
        route_class_override=StreamRoute,
        include_in_schema=False,  # told of in the list's description: OpenAPI has one GET a path
    )


def _add_events(router: APIRouter, kind: JobKind | None, MayRead: Any) -> None:  # noqa: N803
    def list_events(
        job_id: JobId,
        session: SessionDep,
        caller: MayRead,
        query: Annotated[EventsQuery, Query()],
        _seen: LastEventId,  # of a stream, but one that is no number is refused here, too
    ) -> Page[Event]:
        """Oldest first, those with ids above `after`. With `Accept: text/event-stream` they come
        as server-sent events until the job has ended; `Last-Event-ID` goes on where it broke."""
        service.get(session, job_id, owner=caller.owner, kind=kind)
        rows = events.after(session, job_id, query.after, query.limit + 1)
        data = [Event.of(row) for row in rows[: query.limit]]
        return Page(data=data, has_more=len(rows) > query.limit)

    router.add_api_route(
        "/{job_id}/events",
        list_events,
        methods=["GET"],
        route_class_override=NegotiatedRoute,
        summary="What happened to it",
        responses={
            200: {
                "description": "As a list, or with `Accept: text/event-stream` as they come.",
                "content": {"text/event-stream": {"schema": {"type": "string"}, "example": STREAM}},
            },
            204: {"description": "Of a stream: nothing follows the event that was seen."},
            **problems(404, 410, 422, 429),
        },
        openapi_extra=RESUME,
    )
