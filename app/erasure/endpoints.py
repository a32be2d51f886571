"""DELETE of all that a key owns."""

from typing import Annotated, Final

from fastapi import APIRouter, Path, Request
from fastapi.concurrency import run_in_threadpool

from app.access.auth import MayUse
from app.access.deletions.service import Order
from app.access.keys import service as keys
from app.access.keys.scopes import Scope
from app.access.owners import LOCAL
from app.access.quotas import ConcurrencyLimit
from app.erasure.schemas import Erasure
from app.erasure.service import STOP_SECONDS, Erased, Selection, erase
from app.errors import Forbidden
from app.http.problems import problems
from app.http.queries import NoQuery
from app.jobs.services import ServicesDep
from app.persistence.database import SessionDep
from app.registry.loaded import RegistryState
from app.state import state_of

router = APIRouter(prefix="/v1/keys", tags=["keys"])

MOST_SECONDS: Final = 30.0
"""Proxies commonly cut an answer after 60 s. Some thousands of jobs go in this time."""
# Each keeps a thread of the pool, of 40, busy.
ERASURES: Final = ConcurrencyLimit(
    4, "keys' data are being deleted", code="erasures_busy", retry_after=5
)


@router.delete(
    "/{key_id}/data",
    summary="Delete all that a key owns",
    responses=problems(404, 429, 503),
)
async def delete_data(
    key_id: Annotated[str, Path(examples=["key_01K9ZQ3W8M4V7T2X6B5N0C1DEF"])],
    request: Request,
    services: ServicesDep,
    session: SessionDep,
    caller: MayUse,
    _query: NoQuery,
) -> Erasure:
    """Its corpora, models and jobs; those that have not ended are cancelled first. For admins, and
    for the key itself. Also of a revoked key, and of `local`: what was made before there was a key.
    A key that is not revoked goes on working. Repeat it until `complete` is true."""
    if not caller.may(Scope.ADMIN) and caller.key_id != key_id:
        raise Forbidden(
            "A key may delete its own data alone; that of others takes a key with the scope admin.",
            code="scope_missing",
        )

    def work() -> Erased:
        if key_id != LOCAL:
            keys.get(session, key_id)
        session.rollback()  # no connection is held meanwhile
        return erase(
            services.sessions,
            services.storage,
            Selection(owner=key_id),
            Order(caller.key_id, "erasure"),
            seconds=MOST_SECONDS,
            stop_seconds=STOP_SECONDS,
        )

    with ERASURES.one(caller.owner):
        done = await run_in_threadpool(work)
    loaded = state_of(request, RegistryState).loaded_models
    for model_id in done.models:
        loaded.forget(model_id)
    return Erasure.of(key_id, done)
