"""Removing what was left behind: folders without a row, files that ended jobs need no more.

The API collects those of corpora and models too, when it starts.

Careful: what is removed here is not to be had again. A folder counts as left behind only while it
bears the mark of `app.persistence.orphans`, which it loses when its row is committed: an empty or
exchanged database makes nothing look abandoned.
"""

import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import structlog

from app.corpora.tables import Corpus
from app.jobs import shards
from app.jobs.tables import Job
from app.persistence import orphans
from app.persistence.ids import is_id
from app.registry.tables import Model
from workers.runtime.context import WorkerContext
from workers.runtime.recovery import clear_away

log = structlog.get_logger("workers.collect")

STAGED_SECONDS: Final = 24 * 3600.0
"""The longest upload is over by then."""
JOBS_A_LOOK: Final = 500
"""Databases bound the parameters of one statement."""


def collect(context: WorkerContext) -> None:
    """Remove what no row names, and what no job needs any more."""
    sessions, storage = context.sessions, context.storage
    with sessions.begin() as session:
        shards.forget(session)  # also of jobs that have no folder
    removed = {
        "jobs": orphans.collect(sessions, storage, "jobs", Job.id),
        "ended": _ended(context),
        "staged": _staged(context),
        "models": orphans.collect(sessions, storage, "models", Model.id),
        "corpora": orphans.collect(sessions, storage, "corpora", Corpus.id),
    }
    if any(removed.values()):
        log.info("collected", **removed)


def _ended(context: WorkerContext) -> int:
    """What a worker leaves that dies when its job ends, and a job that no worker ever saw."""
    names = [path.name for path in _folders(context)]
    looks = (names[at : at + JOBS_A_LOOK] for at in range(0, len(names), JOBS_A_LOOK))
    return sum(clear_away(context, look) for look in looks)


def _staged(context: WorkerContext) -> int:
    parent = context.storage.root / "staging"
    before = time.time() - STAGED_SECONDS
    old = [path for path in _entries(parent) if _changed(path) < before]
    for path in old:
        context.storage.remove(path)
    return len(old)


def _changed(path: Path) -> float:
    """When, in seconds since 1970; never, if it is gone meanwhile: whoever built there is done."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return math.inf


def _folders(context: WorkerContext) -> Iterator[Path]:
    return (path for path in _entries(context.storage.root / "jobs") if is_id(path.name))


def _entries(parent: Path) -> Iterator[Path]:
    return parent.iterdir() if parent.is_dir() else iter(())
