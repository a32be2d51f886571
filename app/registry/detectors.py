"""A model's detector: attached, detached, loaded.

The files lie in the model's folder and go with it; the model's row says which of them counts.
"""

import shutil
from pathlib import Path

import torch
from safetensors import SafetensorError
from sqlalchemy.orm import Session
from torch import nn

from app.errors import Forbidden, Invalid, NotFound, ServalError
from app.persistence.kept import tree_size
from app.persistence.storage import Storage
from app.registry import service
from app.registry.attached import Attached
from app.registry.service import Entry
from app.registry.tables import Model
from models.audit.figure import Figure
from models.checkpoint import CheckpointError, sha256
from models.detectors import DetectorConfig, load_detector, served
from models.detectors.checkpoint import CONFIG, WEIGHTS, check_model


def check_own(entry: Entry) -> None:
    """Return if a detector may be attached to the model.

    Raises:
        Forbidden: it is a starter.
    """
    if entry.owner is None:
        raise Forbidden(
            f"{entry.id} is a starter model, which is everybody's: nobody attaches a detector to"
            f" it. GET /v1/models/{entry.id}/weights and /config, upload them as a model of your"
            " own, and name that.",
            code="starter_model",
        )


def attach(
    session: Session,
    storage: Storage,
    model_id: str,
    files: Path,
    false_alarm_rate: Figure,
    *,
    owner: str,
) -> Attached:
    """Attach a detector to its model, in place of any before, in the caller's transaction.

    Nothing is committed here. If the transaction is rolled back, the files stay unused in the
    model's folder, and go with it.

    Args:
        files: the folder with the detector's two files.
        false_alarm_rate: of clean clips of `test`.

    Raises:
        NotFound: there is no such model, or it is another key's.
        Forbidden: it is a starter.
        Invalid: the detector is another model's.
        ServalError: its files are damaged.
    """
    entry = service.get(session, storage, model_id, owner=owner)
    check_own(entry)
    try:
        config = DetectorConfig.from_json((files / CONFIG).read_bytes())
        digest = sha256((files / WEIGHTS).read_bytes())
        check_model(config, entry.sha256)
        load_detector(files, model_sha256=entry.sha256, digest=digest)
    except CheckpointError as error:
        if error.code == "other_model":
            raise Invalid(f"{model_id}: {error}.", code="other_model") from error
        raise _damaged(entry, error) from error
    except OSError as error:
        raise _damaged(entry, error) from error
    attached = Attached(
        sha256=digest, bytes=tree_size(files), config=config, false_alarm_rate=false_alarm_rate
    )
    final = attached.folder(storage.published(entry.folder))
    _remove_unused(storage, entry, final)
    if not final.is_dir():
        with storage.staging() as staged:
            shutil.copytree(files, staged / final.name)
            storage.publish(staged / final.name, final)
    _write(session, model_id, attached)
    return attached


def detach(session: Session, storage: Storage, model_id: str, *, owner: str) -> None:
    """Take the detector off its model, and commit it.

    Raises:
        NotFound: there is no such model, it is another key's, or it has no detector.
        Forbidden: it is a starter.
    """
    entry = service.get(session, storage, model_id, owner=owner)
    check_own(entry)
    if entry.detector is None:
        raise NotFound(
            f'{model_id} has no detector. POST /v1/trainings with "type": "detector" trains one.',
            code="no_detector",
        )
    _write(session, model_id, None)
    session.commit()
    storage.remove(entry.detector.folder(entry.folder))


def load(entry: Entry, device: torch.device) -> nn.Module | None:
    """The network of a model's detector as predictions ask it; None if it has none.

    Raises:
        ServalError: its files are gone or damaged, or it is another model's.
    """
    if entry.detector is None:
        return None
    folder = entry.detector.folder(entry.folder)
    try:
        net = load_detector(folder, model_sha256=entry.sha256, digest=entry.detector.sha256)
    except (OSError, CheckpointError, SafetensorError) as error:
        raise _damaged(entry, error) from error
    return served(net, device)


def _remove_unused(storage: Storage, entry: Entry, final: Path) -> None:
    """Remove what earlier detectors left: the one that counts now stays until the commit."""
    used = {final} if entry.detector is None else {final, entry.detector.folder(entry.folder)}
    for path in final.parent.glob("*"):
        if path not in used:
            storage.remove(path)


def _write(session: Session, model_id: str, attached: Attached | None) -> None:
    row = session.get_one(Model, model_id, with_for_update=True, populate_existing=True)
    before = 0 if row.detector is None else Attached.model_validate(row.detector).bytes
    if row.bytes is not None:
        row.bytes += (0 if attached is None else attached.bytes) - before
    row.detector = None if attached is None else attached.model_dump(mode="json")
    session.flush()


def _damaged(entry: Entry, why: object) -> ServalError:
    return ServalError(
        f"The files of the detector of {entry.id} are damaged: {why}. Train it again, or"
        f" DELETE /v1/models/{entry.id}/detector.",
        code="detector_damaged",
    )
