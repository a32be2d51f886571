"""What scoring an audit begins with and what it comes to, in one piece or in shards."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from app.audits.schemas import AnyAuditRequest
from app.jobs.attempts import Attempt
from models.audit import Summary
from models.audit.forecast import Forecast
from workers.audits.choice import BrokenClips
from workers.audits.record import Record
from workers.audits.setup import Setup
from workers.runtime.context import WorkerContext
from workers.runtime.progress import Watchdog

MOST_PICTURES: Final = 4
"""Of a clip beside what an attack made of it."""


class Finish(Protocol):
    """Tells how far the audit came, as the last that is told; see `Pacing.finish`."""

    def __call__(self, *, complete: bool) -> None: ...


@dataclass(frozen=True)
class AuditAttempt:
    """An attempt at an audit, when all is found that it needs.

    Attributes:
        expected: the most that it will cost.
        clock: seconds, for the audit's ``max_seconds``.
    """

    context: WorkerContext
    attempt: Attempt
    watchdog: Watchdog
    setup: Setup
    expected: Forecast
    clock: Callable[[], float]


@dataclass(frozen=True)
class Scored:
    """An audit of which all is scored, or as much as there was time for.

    Attributes:
        summary: of the rows.
        record: the rows, and the inputs of the clips that are shown.
        shown: these clips, by index, in the order of showing.
        broken: the clips that exhibits are chosen from.
        clips: how many have a row.
        in_time: whether all is scored.
        finish: tells that the work is done.
    """

    summary: Summary
    record: Record
    shown: list[int]
    broken: BrokenClips
    clips: int
    in_time: bool
    finish: Finish


def clips_shown(context: WorkerContext, request: AnyAuditRequest) -> int:
    """Of how many clips the inputs are kept."""
    return context.settings.max_saved_clips if request.save_adversarial else MOST_PICTURES
