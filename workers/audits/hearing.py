"""What the model says of a file that an audit wrote: by the very functions of a prediction."""

import math
import sys
from typing import Final

from app.audits.exhibits import Heard
from app.predictions import hooks
from app.registry.loaded import LoadedModel
from app.registry.service import Entry
from models.audio import AudioError
from models.audit import Audit
from models.audit.evidence import DIGITS
from models.freezing import frozen
from models.precision import full_float32

NO_LIMITS: Final = hooks.Limits(seconds=1e6, windows=sys.maxsize)
"""The clip was audited, however long it is."""


def hear(audit: Audit, entry: Entry, recording: bytes) -> Heard | None:
    """As `POST /v1/predict` answers, all windows of the recording and whatever precision the audit
    had.

    Args:
        entry: the audit's model.
        recording: a file.

    Returns:
        None if a prediction refuses it, as one of digital silence, or finds no finite score.
    """
    victim = audit.victim
    config = entry.config
    model = LoadedModel(entry.id, entry.owner, config, config.standardizer, victim.scorer, size=0)
    try:
        clip = hooks.decode_request(recording, model, NO_LIMITS)
    except AudioError:
        return None
    with frozen(victim.scorer), full_float32():
        scores = hooks.predict(model, hooks.batch([clip]), victim.device, audit.batch)
    (probabilities,) = hooks.unbatch(scores, [clip])
    if not all(map(math.isfinite, probabilities)):
        return None
    (best,) = hooks.encode_response(probabilities, config.labels, top_k=1)
    return Heard(label=best["label"], score=round(best["score"], DIGITS))
