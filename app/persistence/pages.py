"""A page of a table's rows, newest first, after the last row of the page before (keyset paging)."""

from typing import TypeVar

from sqlalchemy import ColumnElement, select, tuple_
from sqlalchemy.orm import Session

from app.errors import Invalid, shown
from app.persistence.database import Base
from app.persistence.ids import is_id

R = TypeVar("R", bound=Base)


def newest_first(
    session: Session,
    table: type[R],
    *conditions: ColumnElement[bool],
    owner: str | None,
    after: str | None,
    limit: int,
) -> tuple[list[R], bool]:
    """The owner's rows, or everybody's without one, and whether there are more.

    Args:
        table: with the columns `id`, `owner` and `created_at`, and an index on them.
        conditions: which of the owner's rows count.
        after: id of the last row of the page before; None for the first page.

    Raises:
        Invalid: ``after`` is not the id of one of the owner's rows.
    """
    columns = table.__table__.c
    mine = () if owner is None else (columns.owner == owner,)
    query = select(table).where(*mine, *conditions)
    if after is not None:
        of_last = select(columns.created_at).where(columns.id == after, *mine)
        created_at = session.scalar(of_last) if is_id(after) else None
        if created_at is None:
            whose = "the" if owner is None else "your"
            raise Invalid(
                f"after={shown(after)} is not the id of one of {whose} {table.__tablename__}. Give"
                " the last id of the page before, or leave it out."
            )
        query = query.where(tuple_(columns.created_at, columns.id) < (created_at, after))
    query = query.order_by(columns.created_at.desc(), columns.id.desc()).limit(limit + 1)
    rows = list(session.scalars(query))
    return rows[:limit], len(rows) > limit
