"""What has become of each cell of a study: of its training, and of the audits of its model."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.studies.tables import OPEN, StudyTask, TaskKind, TaskStatus


@dataclass(frozen=True)
class CellState:
    """A cell, as its tasks are.

    Attributes:
        status: waiting, active, or how it ended: done only if its audits are, too.
        training: the job; None if it has none yet.
        audits: of its model, by partition; jobs that are there.
        reused: whether the training was another's.
        seconds: of the training and the audits that are done, as they were measured.
        errors: why what failed has failed.
    """

    name: str
    status: TaskStatus
    training: str | None
    model: str | None
    audits: Mapping[str, str]
    reused: bool
    seconds: float
    errors: Sequence[Mapping[str, Any]]

    @property
    def ended(self) -> bool:
        """Whether nothing more will happen to it by itself."""
        return self.status not in OPEN


def states(tasks: Iterable[StudyTask]) -> list[CellState]:
    """All cells, in the order of their first tasks. Transfers are of no cell."""
    by_cell: dict[str, list[StudyTask]] = {}
    for task in tasks:
        if task.kind is not TaskKind.TRANSFER:
            by_cell.setdefault(task.cell, []).append(task)
    return [_state(name, of_cell) for name, of_cell in by_cell.items()]


def _state(name: str, tasks: Sequence[StudyTask]) -> CellState:
    training = next(task for task in tasks if task.kind is TaskKind.TRAINING)
    audits = [task for task in tasks if task.kind is TaskKind.AUDIT]
    return CellState(
        name=name,
        status=_status([task.status for task in tasks]),
        training=training.job_id,
        model=training.model,
        audits={one.partition or "": one.job_id for one in audits if one.job_id is not None},
        reused=training.reused,
        seconds=sum(task.seconds or 0.0 for task in tasks),
        errors=[task.error for task in tasks if task.error is not None],
    )


def _status(statuses: Sequence[TaskStatus]) -> TaskStatus:
    found = set(statuses)
    if found <= {TaskStatus.WAITING}:
        return TaskStatus.WAITING
    if found & set(OPEN):
        return TaskStatus.ACTIVE
    for worst in (TaskStatus.FAILED, TaskStatus.CANCELLED):
        if worst in found:
            return worst
    return TaskStatus.DONE
