"""`POST /v1/audits?dry_run=true`: what an audit would cost, without one."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from sqlalchemy.orm import Session

from app.audits import acceptance
from app.audits.forecasts import ForecastAnswer
from app.audits.sample import sample
from app.audits.schemas import AuditRequest
from app.audits.victim import batch_size, count_windows, load_victim
from app.corpora import service as corpora
from app.devices import chosen_device
from app.errors import Unavailable
from app.persistence.storage import Storage
from app.settings import Settings
from models.audit.forecast import forecast

CALIBRATING: Final = threading.Lock()
"""Passes are timed for one request at a time: two would slow each other down, and predictions."""


def dry_run(
    session: Session, storage: Storage, settings: Settings, request: AuditRequest, *, owner: str
) -> ForecastAnswer:
    """The forecast of an audit that would be accepted; passes are timed on this process's device.

    Raises:
        NotFound, Invalid: as the submission would.
        Unavailable: another forecast is being made.
    """
    accepted = acceptance.check(session, storage, settings, request, owner=owner)
    entry, corpus = accepted.entry, accepted.corpus
    labels = entry.config.labels
    clips = corpora.selection(storage, corpus, request.partition, labels, request.fold).clips
    session.rollback()  # no connection is held while passes are timed
    drawn = sample(clips, labels, request.limit, request.seed)
    with _alone():
        victim = load_victim(storage, entry, request, chosen_device(settings.device))
        windows = count_windows(victim, (clips[place].duration_s for place in drawn))
        batch = batch_size(settings, victim.frames)
        found = forecast(request.perturbations, windows, len(drawn), victim, batch)
    return ForecastAnswer(**found.to_dict())


@contextmanager
def _alone() -> Iterator[None]:
    if not CALIBRATING.acquire(blocking=False):
        raise Unavailable(
            "Another forecast is being made. Send this one again later.",
            code="forecast_busy",
            retry_after=2,
        )
    try:
        yield
    finally:
        CALIBRATING.release()
