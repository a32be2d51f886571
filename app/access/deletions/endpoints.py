"""The trail of deletions over REST, for admins."""

from typing import Annotated

from fastapi import APIRouter, Query

from app.access.auth import MayAdmin
from app.access.deletions import tables
from app.access.deletions.schemas import Deletion
from app.http.problems import problems
from app.http.queries import PageQuery
from app.persistence.database import SessionDep
from app.persistence.pages import newest_first
from app.schemas import Page

router = APIRouter(prefix="/v1/deletions", tags=["keys"])


@router.get("", summary="List deletions", responses=problems(422))
def list_deletions(
    session: SessionDep, _caller: MayAdmin, query: Annotated[PageQuery, Query()]
) -> Page[Deletion]:
    """What was deleted, of all keys, newest first: by request, by retention or by a purge. Without
    names and content."""
    rows, has_more = newest_first(
        session, tables.Deletion, owner=None, after=query.after, limit=query.limit
    )
    return Page(data=[Deletion.of(row) for row in rows], has_more=has_more)
