"""The registry: which models there are, whose they are, and their weights.

A starter is a folder beside the code and belongs to everybody. Any other model is a row and a
folder `storage.model_dir(id)`; the row is what counts: a folder without one is invisible, and
`app.persistence.orphans` removes it if a crash left it.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy import String, cast, delete, exists, or_, select
from sqlalchemy.orm import Session

from app.access import allowance
from app.access.allowance import UNLIMITED, Allowance
from app.access.deletions import service as deletions
from app.access.deletions.service import Order
from app.errors import Conflict, Forbidden, Invalid, NotFound, ServalError, shown
from app.jobs.states import TERMINAL
from app.jobs.tables import Job
from app.persistence import orphans
from app.persistence.database import now
from app.persistence.ids import is_id, new_id
from app.persistence.kept import freed_bytes, tree_size
from app.persistence.pages import newest_first
from app.persistence.storage import Storage
from app.registry.attached import Attached
from app.registry.starters import Starter, starters
from app.registry.tables import Model
from models.architectures import SpectrogramNet
from models.checkpoint import (
    CONFIG,
    WEIGHTS,
    CheckpointError,
    ModelConfig,
    network,
    save_model,
    sha256,
)

WEIGHTS_TYPE: Final = "application/octet-stream"
"""There is no registered media type of safetensors."""


@dataclass(frozen=True)
class Entry:
    """A model of the registry, starter or not.

    Attributes:
        owner: the key that it belongs to; None for a starter, which everybody may use.
        sha256: of the weights file.
        metrics: as this project measured them; of an uploaded model none were. What its
            configuration says stands in ``config``.
        training_id: the training that made it here.
        created_at: None for a starter.
        folder: where its two files lie.
        detector: that is attached to it; see `app.registry.detectors`.
    """

    id: str
    owner: str | None
    name: str
    config: ModelConfig
    sha256: str
    metrics: dict[str, Any]
    training_id: str | None
    created_at: datetime | None
    folder: Path
    detector: Attached | None = None


def get(session: Session, storage: Storage, model_id: str, *, owner: str) -> Entry:
    """The model as ``owner`` may see it.

    Raises:
        NotFound: there is none with this id, or it is another key's.
    """
    row = session.get(Model, model_id, populate_existing=True) if is_id(model_id, "model") else None
    if row is not None and row.owner == owner:
        return _entry(storage, row)
    starter = starters().get(model_id)
    if starter is None:
        raise _absent(model_id)
    return _starter_entry(starter)


def file(session: Session, storage: Storage, model_id: str, name: str, *, owner: str) -> Path:
    """One of the model's two files, as ``owner`` may have it.

    Args:
        name: ``CONFIG`` or ``WEIGHTS``.

    Raises:
        NotFound: as `get`.
        ServalError: the file is gone.
    """
    entry = get(session, storage, model_id, owner=owner)
    path = storage.published(entry.folder) / name
    if not path.is_file():
        raise _damaged(entry, f"{name} is gone")
    return path


def lock_for_share(session: Session, entry: Entry) -> None:
    """Keep the model from being deleted until the caller's transaction ends; a starter stays.

    PostgreSQL locks the row. SQLite has no such locks and needs none, if the caller has written.

    Raises:
        NotFound: it was deleted meanwhile.
    """
    if entry.owner is None:
        return
    row = select(Model.id).where(Model.id == entry.id)
    if session.scalar(row.with_for_update(read=True, key_share=True)) is None:
        raise _absent(entry.id)


def _absent(model_id: str) -> NotFound:
    return NotFound(f"There is no model {shown(model_id)}. GET /v1/models lists yours.")


def load_entry(entry: Entry) -> SpectrogramNet:
    """The network of a model that was found, in eval mode on the CPU. Needs no session.

    Raises:
        ServalError: its files are gone or damaged.
    """
    try:
        weights = (entry.folder / WEIGHTS).read_bytes()
        if sha256(weights) != entry.sha256:
            raise CheckpointError("wrong_sha256", "the weights are not those that were registered")
        return network(weights, entry.config)
    except (OSError, CheckpointError) as error:
        raise _damaged(entry, error) from error


def _damaged(entry: Entry, why: object) -> ServalError:
    return ServalError(
        f"The files of the model {entry.id} are damaged: {why}. Upload or train it again.",
        code="model_damaged",
    )


def publish(
    session: Session,
    storage: Storage,
    net: SpectrogramNet,
    config: ModelConfig,
    *,
    owner: str,
    name: str,
    training_id: str | None = None,
) -> Model:
    """Put a model into the registry, in the caller's transaction: nothing is committed here.

    The files are written first, so call it before the transaction's other writes: SQLite's write
    lock is then not held while the disk works. If the transaction is rolled back, the model was
    never there; its folder is collected later.

    Returns:
        The row, flushed; the model is visible once the caller commits.
    """
    with storage.staging() as staged:
        digest = save_model(staged, net, config)
        row = _insert(session, storage, staged, config, digest, owner=owner, name=name)
    row.training_id = training_id
    row.metrics = config.metrics
    session.flush()
    return row


def register(
    session: Session,
    storage: Storage,
    weights: bytes,
    config_json: bytes,
    *,
    owner: str,
    name: str | None,
    most: Allowance = UNLIMITED,
) -> Entry:
    """Take in an uploaded model, and commit it. Its file stays as it came, byte for byte.

    Args:
        weights: content of a safetensors file; hostile bytes are fine.
        config_json: content of a ``config.json``; the same.
        name: the architecture's, if None.
        most: what a key may have.

    Raises:
        Invalid: the two are not what they claim to be, or do not fit together.
        TooMany: the owner would keep more bytes than it may.
    """
    try:
        config = ModelConfig.from_json(config_json)
        network(weights, config)
    except CheckpointError as error:
        raise Invalid(f"The model is not accepted: {error}.", code=error.code) from None
    with storage.staging() as staged:
        (staged / WEIGHTS).write_bytes(weights)
        (staged / CONFIG).write_text(config.to_json())
        row = _insert(
            session,
            storage,
            staged,
            config,
            sha256(weights),
            owner=owner,
            name=name or config.architecture,
        )
    try:
        session.flush()
        allowance.check_bytes(session, owner, most, row.bytes or 0)
    except Exception:
        session.rollback()
        storage.remove(storage.model_dir(row.id))
        raise
    session.commit()
    return _entry(storage, row)


def _insert(
    session: Session,
    storage: Storage,
    staged: Path,
    config: ModelConfig,
    digest: str,
    *,
    owner: str,
    name: str,
) -> Model:
    model_id = new_id("model")
    size = tree_size(staged)
    orphans.mark(staged)
    storage.publish(staged, storage.model_dir(model_id))
    row = Model(
        id=model_id,
        owner=owner,
        name=name,
        architecture=config.architecture,
        labels=list(config.labels),
        config=json.loads(config.to_json()),
        sha256=digest,
        bytes=size,
        metrics={},
        created_at=now(),
    )
    session.add(row)
    orphans.unmark_on_commit(session, storage.model_dir(model_id))
    return row


def list_page(
    session: Session, storage: Storage, *, owner: str, after: str | None = None, limit: int = 20
) -> tuple[list[Entry], bool]:
    """The owner's models, newest first, then the starters; and whether there are more.

    Raises:
        Invalid: ``after`` is not the id of a model that the owner sees.
    """
    shared = [_starter_entry(starter) for starter in starters().values()]
    names = [entry.id for entry in shared]
    if after in names:
        rest = shared[names.index(after) + 1 :]
        return rest[:limit], len(rest) > limit
    rows, has_more = newest_first(session, Model, owner=owner, after=after, limit=limit)
    found = [_entry(storage, row) for row in rows]
    if has_more:
        return found, True
    found += shared
    return found[:limit], len(found) > limit


def remove(
    session: Session,
    storage: Storage,
    model_id: str,
    *,
    owner: str,
    order: Order | None = None,
) -> int:
    """Delete the model.

    Args:
        order: whose wish it is, for the trail; the owner's if None.

    Returns:
        The bytes of its files.

    Raises:
        NotFound: as `get`.
        Forbidden: it is a starter.
        Conflict: a job that has not ended uses it.
    """
    entry = get(session, storage, model_id, owner=owner)
    if entry.owner is None:
        raise Forbidden(
            f"{entry.id} is a starter model: it ships with the service and stays.",
            code="starter_model",
        )
    # An attack may be carried out on it: then its id stands somewhere in the request.
    named = cast(Job.request, String).contains(json.dumps(model_id), autoescape=True)
    uses = or_(Job.model == model_id, named)
    in_use = (uses, Job.owner == owner, Job.status.not_in(TERMINAL))
    # First wait for submissions that `lock_for_share` it. Only a statement that begins afterwards
    # sees their jobs; and it is one, so that on SQLite nothing comes
    # between the look and the deletion.
    session.execute(select(Model.id).where(Model.id == model_id).with_for_update())
    deleted = session.execute(
        delete(Model)
        .where(Model.id == model_id, ~exists().where(*in_use))
        .returning(Model.bytes)
        .execution_options(synchronize_session=False)
    ).one_or_none()
    freed = 0
    if deleted is not None:
        freed = freed_bytes(deleted.bytes, entry.folder)
        by = order or Order(owner)
        deletions.record(session, by, "model", model_id, owner=owner, freed=freed)
        orphans.mark(entry.folder)
    session.commit()
    if deleted is None:
        get(session, storage, model_id, owner=owner)  # NotFound if another request was faster
        job_id = session.scalar(select(Job.id).where(*in_use).limit(1))
        raise Conflict(
            f"{model_id} is in use by {job_id or 'a job'}, which has not ended. Wait for it, or"
            " cancel it.",
            code="model_in_use",
        )
    storage.remove(entry.folder)
    return freed


def _entry(storage: Storage, row: Model) -> Entry:
    return Entry(
        id=row.id,
        owner=row.owner,
        name=row.name,
        config=ModelConfig.from_json(json.dumps(row.config)),
        sha256=row.sha256,
        metrics=row.metrics,
        training_id=row.training_id,
        created_at=row.created_at,
        folder=storage.model_dir(row.id),
        detector=None if row.detector is None else Attached.model_validate(row.detector),
    )


def _starter_entry(starter: Starter) -> Entry:
    return Entry(
        id=starter.id,
        owner=None,
        name=starter.id,
        config=starter.config,
        sha256=starter.sha256,
        metrics=starter.config.metrics,
        training_id=None,
        created_at=None,
        folder=starter.folder,
    )
