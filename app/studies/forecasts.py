"""How long the trainings of a study will take, by how long earlier ones took on this service."""

from collections import Counter, defaultdict
from collections.abc import Mapping
from statistics import median
from typing import Final

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.jobs.queue import JobQueue
from app.jobs.states import JobKind, JobStatus
from app.jobs.tables import Job
from app.studies.driving import living
from app.studies.existing import follows_its_recipe
from app.studies.planning import Plan
from app.studies.schemas import StudyForecast
from app.studies.tables import TaskKind
from models.studies.grid import Grid

MOST: Final = 500
"""Trainings that are looked at, the youngest ones."""
Pace = tuple[str, str]
"""Architecture and defence: what a step costs hangs on these two before all."""


def forecast(
    session: Session, queue: JobQueue, plan: Plan, reused: Mapping[str, str]
) -> StudyForecast:
    """What the plan will take.

    Args:
        reused: trainings that are there already, by identity.
    """
    left = [
        task.work
        for task in plan.tasks
        if task.kind is TaskKind.TRAINING and task.identity not in reused
    ]
    iterations: Counter[Pace] = Counter()
    for one in left:
        iterations[one["architecture"], one["defense"]["type"]] += one["iterations"]
    audits = sum(task.kind is not TaskKind.TRAINING for task in plan.tasks)
    return _forecast(session, queue, iterations, len(plan.cells), len(left), audits)


def of_grid(session: Session, queue: JobQueue, grid: Grid) -> StudyForecast:
    """The same of a grid that is too large to be made, without a look at what is there."""
    each = len(grid.seeds) * len(grid.train_on) * grid.iterations
    iterations: Counter[Pace] = Counter()
    for training in grid.trainings:
        strengths = len(grid.epsilons) if training.has_epsilon else 1
        defense = training.fields({}, grid.epsilons[0] if training.has_epsilon else None)["defense"]
        for architecture in grid.architectures:
            iterations[architecture, defense["type"]] += strengths * each
    return _forecast(session, queue, iterations, grid.n_cells, grid.n_cells, 0)


def _forecast(
    session: Session,
    queue: JobQueue,
    iterations: Mapping[Pace, int],
    cells: int,
    left: int,
    audits: int,
) -> StudyForecast:
    paces = _paces(session)
    unmeasured = sorted(" ".join(pace) for pace in iterations if pace not in paces)
    seconds = None
    if not unmeasured:
        seconds = sum(paces[pace] * steps for pace, steps in iterations.items())
    workers = max(1, living(queue).get(JobKind.TRAINING, 0))
    return StudyForecast(
        cells=cells,
        reused=cells - left,
        audits=audits,
        iterations=sum(iterations.values()),
        training_seconds=None if seconds is None else round(seconds, 1),
        seconds=None if seconds is None else round(seconds / workers, 1),
        unmeasured=unmeasured,
    )


def in_words(found: StudyForecast) -> str:
    """For a refusal."""
    if found.seconds is None:
        return f"no training of {', '.join(found.unmeasured[:3])} has ended here to forecast by"
    return f"their trainings would take about {found.seconds / 3600:.1f} hours"


def _paces(session: Session) -> dict[Pace, float]:
    """Seconds of a step, the median over trainings that did all of their steps in one attempt: of
    others, the time between their attempts would count too, or steps that another one did."""
    query = (
        select(Job.request, Job.started_at, Job.finished_at)
        .where(Job.kind == JobKind.TRAINING, Job.status == JobStatus.SUCCEEDED, Job.attempt == 1)
        .order_by(Job.created_at.desc())
        .limit(MOST)
    )
    found: dict[Pace, list[float]] = defaultdict(list)
    for request, began, ended in session.execute(query):
        if not follows_its_recipe(request):
            continue
        found[request["architecture"], request["defense"]["type"]].append(
            (ended - began).total_seconds() / request["iterations"]
        )
    return {pace: median(steps) for pace, steps in found.items()}
