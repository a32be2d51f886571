"""How long a study will take from here, from how long its own jobs have taken."""

from collections.abc import Mapping, Sequence
from statistics import mean

from app.jobs.states import JobKind
from app.studies.tables import OPEN, StudyTask, TaskKind, TaskStatus


def seconds_left(tasks: Sequence[StudyTask], workers: Mapping[JobKind, int]) -> float | None:
    """Seconds until the last task has ended; None while a kind that is left was never measured.

    Trainings and audits have workers of their own, so the longer of the two counts.
    """
    longest = 0.0
    for kind, kinds in (
        (JobKind.TRAINING, (TaskKind.TRAINING,)),
        (JobKind.AUDIT, (TaskKind.AUDIT, TaskKind.TRANSFER)),
    ):
        of_kind = [task for task in tasks if task.kind in kinds]
        left = sum(task.status in OPEN for task in of_kind)
        known = [
            task.seconds
            for task in of_kind
            if task.status is TaskStatus.DONE and not task.reused and task.seconds is not None
        ]
        if left and not known:
            return None
        if left:
            longest = max(longest, left * mean(known) / max(1, workers.get(kind, 0)))
    return longest
