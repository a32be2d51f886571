"""Folders that a crash left without a row, told from those whose row is in another database.

A folder is published before its row is committed and removed after its row is, so that a row
without files is never seen. While the folder may be without a row a mark lies in it. `collect`
removes marked folders that no row names, and nothing else: started with an empty or another
database on the same data folder, the service finds the folders unmarked and leaves them alone.

Apart from the services, because the reconciler calls it and must not load torch for it.
"""

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal

from sqlalchemy import event, select
from sqlalchemy.orm import InstrumentedAttribute, Session, sessionmaker

from app.persistence.ids import is_id
from app.persistence.storage import Storage

MARK: Final = "unclaimed"
ABANDONED_SECONDS: Final = 3600.0
"""Between the publishing of a folder and the commit of its row lie milliseconds."""


def mark(folder: Path) -> None:
    """Say that the folder is about to be without a row. Nothing happens if its files were lost."""
    with suppress(FileNotFoundError):
        (folder / MARK).touch()


def unmark(folder: Path) -> None:
    """Say that the folder's row is committed."""
    (folder / MARK).unlink(missing_ok=True)


def unmark_on_commit(session: Session, folder: Path) -> None:
    """`unmark` once the session's present transaction is committed, and never if it is not."""
    mine = session.get_transaction()

    def committed(session: Session) -> None:
        if session.get_transaction() is mine and session.get_nested_transaction() is None:
            unmark(folder)

    event.listen(session, "after_commit", committed)


def collect(
    sessions: sessionmaker[Session],
    storage: Storage,
    collection: Literal["corpora", "jobs", "models"],
    ids: InstrumentedAttribute[str],
    *,
    older_than: float = ABANDONED_SECONDS,
) -> int:
    """Remove the marked folders of a collection that have no row; unmark those that have one.

    Args:
        collection: the folder of the storage in which they lie, each named by its id.
        ids: the column of the table that names them.
        older_than: in seconds; a folder that was marked later may get its row yet.

    Returns:
        How many were removed.
    """
    found = list(_marked(storage.root / collection, time.time() - older_than))
    with sessions() as session:
        names = [path.name for path in found]
        known = set(session.scalars(select(ids).where(ids.in_(names)))) if names else set()
    abandoned = [path for path in found if path.name not in known]
    for path in found:
        if path.name in known:  # or another database would take it for left behind
            unmark(path)
    for path in abandoned:
        storage.remove(path)
    return len(abandoned)


def _marked(parent: Path, before: float) -> Iterator[Path]:
    for found in parent.glob(f"*/{MARK}"):
        with suppress(FileNotFoundError):  # its row was committed just now
            if is_id(found.parent.name) and found.stat().st_mtime < before:
                yield found.parent
