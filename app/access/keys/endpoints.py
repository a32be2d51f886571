"""Keys over REST, for admins."""

from typing import Annotated, Final

from fastapi import APIRouter, Body, Request, Response

from app.access.auth import AccessState, MayAdmin
from app.access.keys import service
from app.access.keys.schemas import Key, KeyRequest, NewKey
from app.http.examples import read_examples
from app.http.idempotency import NoIdempotencyKey
from app.http.problems import problems
from app.http.queries import NoQuery
from app.persistence.database import SessionDep
from app.schemas import Page
from app.state import state_of

router = APIRouter(prefix="/v1/keys", tags=["keys"])

EXAMPLES: Final = read_examples(__file__, "requests")


@router.post("", summary="Make a key", status_code=201, responses=problems(400, 415, 422))
def create_key(
    request: Request,
    wanted: Annotated[KeyRequest, Body(openapi_examples=EXAMPLES)],
    session: SessionDep,
    _caller: MayAdmin,
    _query: NoQuery,
    _key: NoIdempotencyKey,
) -> NewKey:
    """Its token is in this answer and nowhere else. Once there is a key, every request needs one,
    and what was made before there was any waits for `serval keys adopt`."""
    made = service.create_key(
        session,
        name=wanted.name,
        scopes=wanted.scopes,
        max_bytes=wanted.max_bytes,
        max_jobs=wanted.max_jobs,
    )
    state_of(request, AccessState).keyring.forget()
    return NewKey(token=made.token, **Key.of(made.key).model_dump())


@router.get("", summary="List keys")
def list_keys(session: SessionDep, _caller: MayAdmin, _query: NoQuery) -> Page[Key]:
    """All of them, revoked ones too."""
    return Page(data=[Key.of(row) for row in service.list_keys(session)], has_more=False)


@router.delete("/{key_id}", summary="Revoke a key", status_code=204, responses=problems(404))
def revoke_key(
    key_id: str, request: Request, session: SessionDep, caller: MayAdmin, _query: NoQuery
) -> Response:
    """It opens nothing any more, and the streams of events that it opened end within seconds. What
    it owns stays: for another key (`serval keys adopt`), or until `DELETE /v1/keys/{id}/data`."""
    service.revoke_key(session, key_id, actor=caller.key_id)
    state_of(request, AccessState).keyring.forget()
    return Response(status_code=204)
