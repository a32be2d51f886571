"""How much of the disk an owner's files take: a number in each row, summed when somebody asks.

A row says its files' size from the moment at which it is committed. Nobody walks through folders to
find out whether one more upload fits.
"""

from pathlib import Path

from sqlalchemy import BigInteger, func, select
from sqlalchemy.orm import Mapped, Session, mapped_column

from app.persistence.database import Base


class Kept:
    """A row whose folder counts towards the bytes that its owner keeps."""

    owner: Mapped[str]
    bytes: Mapped[int | None] = mapped_column(BigInteger, default=0)
    """Of the files in its folder. NULL: not measured yet; the reconciler does it."""


def tree_size(folder: Path) -> int:
    """Bytes of all files below ``folder``; 0 if it is absent."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def freed_bytes(told: int | None, folder: Path) -> int:
    """What goes with ``folder``, of which its row told so many bytes, or None."""
    return tree_size(folder) if told is None else int(told)


def kept_bytes(session: Session, owner: str) -> int:
    """Bytes of all that ``owner`` keeps. Each table has an index that answers it alone."""
    tables = [mapper.class_ for mapper in Base.registry.mappers if issubclass(mapper.class_, Kept)]
    sums = (select(func.sum(table.bytes)).where(table.owner == owner) for table in tables)
    return sum(int(session.scalar(one) or 0) for one in sums)
