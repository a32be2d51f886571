"""What an audit was done with, by hashes: who replays it can tell whether it is the same."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

from app.registry.service import Entry
from app.replay.schemas import ClipUsed, Materials, ModelUsed, Role
from models.checkpoint import CONFIG
from workers.audits.clips import AuditClips
from workers.audits.setup import Setup
from workers.runtime.outcome import JobFailed
from workers.runtime.progress import Watchdog


def materials(setup: Setup, chunk: int, watchdog: Watchdog) -> Materials:
    """Read all recordings once more, and hash them.

    Args:
        setup: when all is scored: a lack of memory makes the audit's batches smaller.
        chunk: clips that were scored together.

    Raises:
        Stopped: the worker is to stop.
        JobFailed: a recording went meanwhile (code ``clip_damaged``).
    """
    return Materials(
        chunk=chunk,
        batch=setup.audit.batch,
        models=[
            _model("audited", setup.entry),
            *(_model("source", setup.sources[name]) for name in sorted(setup.sources)),
        ],
        clips=list(_clips(setup.clips, watchdog)),
    )


def _model(role: Role, entry: Entry) -> ModelUsed:
    config = hashlib.sha256((entry.folder / CONFIG).read_bytes()).hexdigest()
    return ModelUsed(role=role, id=entry.id, weights_sha256=entry.sha256, config_sha256=config)


def _clips(clips: AuditClips, watchdog: Watchdog) -> Iterator[ClipUsed]:
    for index, facts in enumerate(clips.known):
        watchdog.check()
        size, sha256 = _measured(clips.recordings[index], index) if clips.audible else (None, None)
        yield ClipUsed(index=index, clip=facts.name, bytes=size, sha256=sha256)


def _measured(path: Path, index: int) -> tuple[int, str]:
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return file.tell(), digest
    except OSError as error:
        raise JobFailed(
            "clip_damaged",
            f"Clip {index} cannot be read any more: {error.strerror}. Upload the clips again.",
        ) from error
