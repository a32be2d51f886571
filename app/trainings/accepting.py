"""How a training of any type is taken in: what was asked for, then what was checked of it."""

from collections.abc import Callable
from typing import Any, Protocol

from sqlalchemy.orm import Session

from app.access.allowance import Allowance
from app.jobs import service as jobs
from app.jobs.queue import JobQueue
from app.jobs.service import Submission
from app.jobs.states import JobKind
from app.jobs.tables import Job
from app.persistence.storage import Storage
from app.settings import Settings


class Request(Protocol):
    """What a training is asked for, whatever its type."""

    @property
    def metadata(self) -> dict[str, Any] | None:
        """Notes of the owner's."""

    def to_request(self) -> dict[str, Any]:
        """What is stored."""


def asked(
    request: Request,
    *,
    owner: str,
    idempotency_key: str | None = None,
    parent_id: str | None = None,
) -> Submission:
    """The training as a job of which nothing is checked yet."""
    return Submission(
        kind=JobKind.TRAINING,
        owner=owner,
        request=request.to_request(),
        metadata=request.metadata,
        idempotency_key=idempotency_key,
        parent_id=parent_id,
    )


def accept(
    session: Session,
    queue: JobQueue,
    storage: Storage,
    settings: Settings,
    wanted: Submission,
    checked: Callable[[Submission], Submission],
) -> Job:
    """The job that was accepted under this idempotency key before, or a new one.

    Args:
        wanted: from `asked`.
        checked: what is to be accepted of it; called only for a new one.

    Raises:
        Unavailable: the queue is away; nothing is left behind. And what ``checked`` raises.
    """
    replayed = jobs.replay(session, wanted)
    if replayed is not None:
        return replayed
    return jobs.accept(session, queue, storage, checked(wanted), Allowance.of(settings))
