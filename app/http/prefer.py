"""The `Prefer: wait=30` header (RFC 7240): answer when the job has ended, or after 30 seconds."""

import re
from typing import Annotated

from app.http.listed_headers import listed

Prefer = Annotated[str | None, listed("Prefer", examples=["wait=30"])]
"""What the client would rather have."""

_wait = re.compile(r"(?:^|[,;])\s*wait\s*=\s*\"?(\d{1,9})\"?\s*(?=$|[,;])", re.IGNORECASE).search


def wait_seconds(prefer: str | None, *, most: float) -> float:
    """The seconds that the client would wait, at most ``most``; 0 without such a preference.

    A preference that cannot be understood is ignored, as the RFC asks.
    """
    found = _wait(prefer) if prefer else None
    return min(float(found[1]), most) if found else 0.0
