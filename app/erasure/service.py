"""Erase corpora, models and jobs, as many as there are, by the very deletions that DELETE makes.

Each thing goes in a transaction of its own, with its row in the trail. Whoever dies in the middle
has deleted some and not the others; the same call once more goes on.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session, sessionmaker

from app.access.deletions.service import Order
from app.corpora import service as corpora
from app.corpora.tables import Corpus
from app.errors import Conflict, Gone, NotFound
from app.jobs import deletion
from app.jobs import service as jobs
from app.jobs.states import TERMINAL, UNFINISHED
from app.jobs.tables import Job
from app.persistence.storage import Storage
from app.registry import service as registry
from app.registry.tables import Model

PAGE: Final = 100
POLL_SECONDS: Final = 0.1
STOP_SECONDS: Final = 10.0
"""A worker that lives stops within a second; of one that died the reconciler knows after eight."""

Row = type[Job | Corpus | Model]
TABLES: Final[tuple[Row, ...]] = (Job, Corpus, Model)
"""In the order in which they go: jobs use corpora and models."""
NAMES: Final[dict[Row, str]] = {Job: "jobs", Corpus: "corpora", Model: "models"}


@dataclass(frozen=True)
class Selection:
    """What is to go.

    Attributes:
        owner: whose; everybody's if None.
        before: jobs that ended before, corpora and models that were made before; of all ages, and
            jobs that have not ended too, if None.
    """

    owner: str | None = None
    before: datetime | None = None

    def of(self, table: Row) -> list[ColumnElement[bool]]:
        """The rows of a table."""
        found: list[ColumnElement[bool]] = []
        if self.owner is not None:
            found.append(table.owner == self.owner)
        if self.before is not None:
            found.append(
                Job.finished_at < self.before if table is Job else table.created_at < self.before
            )
        return found


class Group(NamedTuple):
    """What one owner has of one kind."""

    owner: str
    kind: str
    number: int
    bytes: int
    oldest: datetime


@dataclass
class Erased:
    """What went, and what is left of it.

    Attributes:
        counts: by the name of the kind.
        bytes: of the files.
        left: as `counts`, of what could not go: something that has not ended uses it, or there was
            no time. The same call once more goes on.
        models: ids of the models that went.
    """

    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(NAMES.values(), 0))
    bytes: int = 0
    left: dict[str, int] = field(default_factory=dict)
    models: list[str] = field(default_factory=list)


def listed(session: Session, chosen: Selection) -> list[Group]:
    """What would go, by owner and kind, for people to look at."""
    found = []
    for table in TABLES:
        query = (
            select(
                table.owner,
                func.count(),
                func.coalesce(func.sum(table.bytes), 0),
                func.min(table.created_at),
            )
            .where(*chosen.of(table))
            .group_by(table.owner)
        )
        rows = session.execute(query)
        found += [
            Group(owner, NAMES[table], number, int(size or 0), oldest)
            for owner, number, size, oldest in rows
        ]
    return sorted(found)


def erase(
    sessions: sessionmaker[Session],
    storage: Storage,
    chosen: Selection,
    order: Order,
    *,
    seconds: float,
    stop_seconds: float = STOP_SECONDS,
) -> Erased:
    """Delete all that is chosen; jobs that have not ended are cancelled first.

    Args:
        order: whose wish it is, for the trail.
        seconds: after which it ends, done or not.
        stop_seconds: how long to wait for workers to stop what they are at.

    Raises:
        Unavailable: the files are not at hand; nothing is deleted then.
    """
    storage.require()
    until = time.monotonic() + seconds
    if chosen.before is None:
        _cancel(sessions, chosen, min(until, time.monotonic() + stop_seconds))
    done = Erased()
    for table in TABLES:
        for name, owner in _rows(sessions, chosen, table):
            if time.monotonic() > until:
                break
            with sessions() as session:
                freed = _delete(session, storage, table, name, owner, order)
            if freed is not None:
                done.counts[NAMES[table]] += 1
                done.bytes += freed
                if table is Model:
                    done.models.append(name)
    with sessions() as session:
        done.left = {NAMES[table]: _count(session, chosen, table) for table in TABLES}
    return done


def _cancel(sessions: sessionmaker[Session], chosen: Selection, until: float) -> None:
    """Cancel what has not ended, and wait for it to end. One that ends well meanwhile may have
    caused another, so look again."""
    conditions = (*chosen.of(Job), Job.status.in_(UNFINISHED))
    while True:
        with sessions() as session:
            unfinished = session.execute(select(Job.id, Job.owner).where(*conditions)).all()
            for job_id, owner in unfinished:
                try:
                    jobs.cancel(session, job_id, owner=owner)
                except (Gone, NotFound):  # deleted meanwhile
                    continue
            running = session.scalar(select(func.count()).where(*conditions)) or 0
        if not running or time.monotonic() > until:
            return
        time.sleep(POLL_SECONDS)


def _rows(
    sessions: sessionmaker[Session], chosen: Selection, table: Row
) -> Iterator[tuple[str, str]]:
    """Id and owner of each, a page at a time; those that stay are passed over."""
    after = ""
    ended = [Job.status.in_(TERMINAL)] if table is Job else []
    while True:
        query = (
            select(table.id, table.owner)
            .where(*chosen.of(table), *ended, table.id > after)
            .order_by(table.id)
            .limit(PAGE)
        )
        with sessions() as session:
            page = session.execute(query).all()
        if not page:
            return
        yield from ((name, owner) for name, owner in page)
        after = page[-1].id


def _delete(
    session: Session, storage: Storage, table: Row, name: str, owner: str, order: Order
) -> int | None:
    """The bytes of its files; None if it cannot go now, or is gone."""
    deleters: dict[Row, Callable[..., int]] = {
        Job: deletion.delete,
        Corpus: corpora.delete,
        Model: registry.remove,
    }
    try:
        return deleters[table](session, storage, name, owner=owner, order=order)
    except (Conflict, Gone, NotFound):
        return None


def _count(session: Session, chosen: Selection, table: Row) -> int:
    return session.scalar(select(func.count()).where(*chosen.of(table))) or 0
