"""What drives a study: whoever sees that something has changed looks at all of its tasks, and
begins what can be begun.

No process holds a study. The API calls `advance` when one is accepted, changed or cancelled, a
worker when a job has ended, and the reconciler at each of its looks, so that nothing depends on any
of them. Whoever advances holds the row of the study's job locked (on SQLite: the database), so of
two that do it at once the second finds what the first has written.

The module needs no torch, for the reconciler does without: requests of jobs were checked and spelt
out when the study was accepted (`app.studies.planning`).
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import select, update
from sqlalchemy.orm import Session, load_only

from app.jobs import service as jobs
from app.jobs.attempts import ALIVE
from app.jobs.service import Link, Submission
from app.jobs.states import TERMINAL, JobKind, JobStatus
from app.jobs.tables import Job
from app.jobs.transitions import move
from app.persistence.database import now
from app.registry.tables import Model
from app.studies import cells as cell_states
from app.studies import reuse
from app.studies.cells import CellState
from app.studies.eta import seconds_left
from app.studies.tables import OPEN, StudyTask, TaskKind, TaskStatus, model_of

FEWEST: Final = 2
"""Jobs of a kind that are queued and running at a time, however few workers live."""
A_WORKER: Final = 2
"""The same for each worker: one to do and one that waits, so that none of them is idle. What others
submit comes before all that the study has not queued yet."""
LOOKS: Final = 4
"""At most, one after the other: jobs that are there already are reused at one and taken over at the
next, first trainings, then audits."""
MOST_TOLD: Final = 100
"""Cells and audits that failed and are named in a result: each may have several sentences."""
JOB_KINDS: Final = {
    TaskKind.TRAINING: JobKind.TRAINING,
    TaskKind.AUDIT: JobKind.AUDIT,
    TaskKind.TRANSFER: JobKind.AUDIT,
}
Workers = Mapping[JobKind, int]
"""How many live, by the kind of job that they do."""


def advance(session: Session, study_id: str, workers: Workers) -> list[Link]:
    """Begin what can be begun, and end the study when all is done; the caller commits.

    Returns:
        The jobs that were made, to be put on their queues after the commit.
    """
    study = lock(session, study_id, ALIVE)
    if study is None:
        return []
    tasks = read_tasks(session, study_id)
    before, was = cell_states.states(tasks), _marks(tasks)
    made: list[Link] = []
    for _ in range(LOOKS):
        at, seen = Advance(session, study, tasks), _marks(tasks)
        at.settle()
        if study.status is JobStatus.CANCELLING:
            at.stop()
        else:
            made += at.begin(workers)
        if _marks(tasks) == seen:
            break
    if _marks(tasks) != was or study.progress_total != len(before):
        _tell(session, at, before, workers)
    if all(task.status not in OPEN for task in at.tasks):
        _end(session, at)
    return made


def _marks(tasks: Sequence[StudyTask]) -> list[object]:
    """What changes whenever anything does."""
    return [(one.status, one.job_id, one.reused) for one in tasks]


def read_tasks(session: Session, study_id: str) -> Sequence[StudyTask]:
    """All tasks of the study, in the order in which they are begun."""
    query = select(StudyTask).where(StudyTask.study_id == study_id).order_by(StudyTask.number)
    return session.scalars(query.execution_options(populate_existing=True)).all()


def lock(session: Session, study_id: str, statuses: Iterable[JobStatus]) -> Job | None:
    """The study, if it has one of these; nobody else writes to it until the transaction ends."""
    held = session.scalar(
        update(Job)
        .where(Job.id == study_id, Job.status.in_(tuple(statuses)))
        .values(version=Job.version)
        .returning(Job.id)
        .execution_options(synchronize_session=False)
    )
    return None if held is None else session.get(Job, study_id, populate_existing=True)


@dataclass
class Advance:
    """One look at a study whose row is locked."""

    session: Session
    study: Job
    tasks: Sequence[StudyTask]
    jobs: dict[str, Job] = field(init=False)

    def __post_init__(self) -> None:
        wanted = [one.job_id for one in self.tasks if one.status is TaskStatus.ACTIVE]
        columns = (
            Job.id, Job.status, Job.error, Job.model, Job.attempt, Job.started_at, Job.finished_at,
        )  # fmt: skip
        found = self.session.scalars(
            select(Job)
            .where(Job.id.in_([one for one in wanted if one is not None]))
            .options(load_only(*columns))
            .execution_options(populate_existing=True)
        )
        self.jobs = {job.id: job for job in found}

    def settle(self) -> None:
        """What the jobs of active tasks have come to."""
        for task in self.tasks:
            job = self.jobs.get(task.job_id or "")
            if task.status is not TaskStatus.ACTIVE or (job and job.status not in TERMINAL):
                continue
            if job is None or (task.reused and not self._came_to_something(task, job)):
                # Deleted, or another's that came to nothing: the study has it done itself.
                task.status, task.job_id, task.reused = TaskStatus.WAITING, None, False
            else:
                _take_over(task, job)

    def _came_to_something(self, task: StudyTask, job: Job) -> bool:
        """Whether what another's job has made can be used, now that it has ended."""
        return job.status is JobStatus.SUCCEEDED and (
            task.kind is not TaskKind.TRAINING
            or reuse.is_there(self.session, job.status, job.model)
        )

    def stop(self) -> None:
        """Nothing more is begun; what the study has begun is cancelled, what it shares goes on."""
        for task in self.tasks:
            job = self.jobs.get(task.job_id or "")
            if task.status is TaskStatus.WAITING or (
                task.status is TaskStatus.ACTIVE and task.reused
            ):
                task.status = TaskStatus.CANCELLED
            elif task.status is TaskStatus.ACTIVE and job is not None:
                stopped = jobs.stop(self.session, job.id, job.status)
                if stopped and job.status is JobStatus.QUEUED:
                    task.status = TaskStatus.CANCELLED

    def begin(self, workers: Workers) -> list[Link]:
        """Begin waiting tasks, in their order, as many as there is room for."""
        room = {kind: max(FEWEST, A_WORKER * workers.get(kind, 0)) for kind in JOB_KINDS.values()}
        for task in self.tasks:
            if task.status is TaskStatus.ACTIVE and not task.reused:
                room[JOB_KINDS[task.kind]] -= 1
        trainings = {one.cell: one for one in self.tasks if one.kind is TaskKind.TRAINING}
        made = []
        for task in self.tasks:
            if task.status is not TaskStatus.WAITING:
                continue
            needed, kind = [trainings[cell] for cell in task.needs], JOB_KINDS[task.kind]
            if any(one.status in OPEN for one in needed):
                continue
            there = [one for one in needed if one.status is TaskStatus.DONE]
            if _gives_up(task, needed, there, _no_model) or room[kind] <= 0:
                continue
            there = [one for one in there if self._model_is_there(one)]
            if _gives_up(task, needed, there, _model_deleted) or self._reuses(task, there):
                continue
            room[kind] -= 1
            made.append(Link(self._insert(task, there), kind))
        return made

    def _model_is_there(self, training: StudyTask) -> bool:
        """Whether it is; if so, it stays until the transaction ends."""
        row = select(Model.id).where(Model.id == training.model)
        return self.session.scalar(row.with_for_update(read=True, key_share=True)) is not None

    def _reuses(self, task: StudyTask, there: Sequence[StudyTask]) -> bool:
        """Whether another job does it, which is written then."""
        owner = self.study.owner
        found = (
            reuse.training(self.session, task, owner=owner)
            if task.kind is TaskKind.TRAINING
            else reuse.audit(self.session, with_models(task, there), owner=owner)
        )
        if found is None or not reuse.kept(self.session, [found]):
            return False
        task.status, task.job_id, task.reused = TaskStatus.ACTIVE, found, True
        return True

    def _insert(self, task: StudyTask, there: Sequence[StudyTask]) -> str:
        """A job of the study's own, and its id."""
        task.round += 1
        request = with_models(task, there)
        job = jobs.insert(
            self.session,
            Submission(
                kind=JOB_KINDS[task.kind],
                owner=self.study.owner,
                request=request,
                model=request.get("model"),
                metadata=self.study.metadata_,
                warnings=task.warnings,
                # No client can send a key with a space in it.
                idempotency_key=f"study {self.study.id} {task.number} {task.round}",
                parent_id=self.study.id,
            ),
        )
        task.status, task.job_id, task.reused, task.error = TaskStatus.ACTIVE, job.id, False, None
        return job.id


def _gives_up(
    task: StudyTask,
    needed: Sequence[StudyTask],
    there: Sequence[StudyTask],
    why: Callable[[StudyTask], dict[str, Any]],
) -> bool:
    """Whether a training without which it cannot be done came to nothing, which ends the task, too.

    Args:
        needed: the trainings that it asks for.
        there: those of them that have a model.
        why: what is said of one that has none.
    """
    missing = [one for one in needed if one not in there]
    if task.kind is TaskKind.TRANSFER and len(there) > 1 and needed[0] in there:
        return False  # it is attacked by way of those that there are
    if missing and missing[0].status is TaskStatus.CANCELLED:
        task.status = TaskStatus.CANCELLED
    elif missing:
        task.status, task.error = TaskStatus.FAILED, why(missing[0])
    return bool(missing)


def _take_over(task: StudyTask, job: Job) -> None:
    """How the task ended, from its job. Of one that was interrupted no time is told: that between
    its attempts would count, too."""
    if job.attempt == 1 and job.started_at is not None and job.finished_at is not None:
        task.seconds = (job.finished_at - job.started_at).total_seconds()
    match job.status:
        case JobStatus.SUCCEEDED:
            task.status, task.error = TaskStatus.DONE, None
            if task.kind is TaskKind.TRAINING:
                task.model = job.model
        case JobStatus.FAILED:
            task.status, task.error = TaskStatus.FAILED, job.error
        case _:
            task.status = TaskStatus.CANCELLED


def with_models(task: StudyTask, there: Sequence[StudyTask]) -> dict[str, Any]:
    """A task's request with the models that its trainings have made; attacks by way of a model that
    there is not are left out."""
    known = {model_of(one.cell): one.model for one in there}
    request = dict(task.work)
    if "model" in request:
        request["model"] = known[request["model"]]
    if task.kind is TaskKind.TRANSFER:
        request["attacks"] = [
            one | {"from": known[one["from"]]} for one in request["attacks"] if one["from"] in known
        ]
    return request


def _no_model(training: StudyTask) -> dict[str, Any]:
    message = f"The training of {training.cell} failed: there is no model to audit."
    return {"code": "no_model", "message": message}


def _model_deleted(training: StudyTask) -> dict[str, Any]:
    message = (
        f"The model {training.model} of {training.cell} was deleted before all was asked of it."
        " Resume the study: it is trained again."
    )
    return {"code": "model_deleted", "message": message}


def _tell(session: Session, at: Advance, before: Sequence[CellState], workers: Workers) -> None:
    """Write how far the study is, and tell of the cells that have ended."""
    session.flush()
    cells = cell_states.states(at.tasks)
    ended = {cell.name for cell in before if cell.ended}
    for cell in cells:
        if cell.ended and cell.name not in ended:
            move(session, at.study.id, event="cell", data=_news(cell))
    move(
        session,
        at.study.id,
        progress_done=sum(cell.ended for cell in cells),
        progress_total=len(cells),
        progress_unit="cells",
        progress_eta=seconds_left(at.tasks, {kind: workers.get(kind, 0) for kind in JobKind}),
    )


def _news(cell: CellState) -> dict[str, Any]:
    return {
        "cell": cell.name,
        "status": cell.status,
        "training": cell.training,
        "model": cell.model,
        "audits": dict(cell.audits),
        "reused": cell.reused,
        "seconds": round(cell.seconds, 3),
        "errors": _told(cell.errors),
    }


def _end(session: Session, at: Advance) -> None:
    """Nothing is open any more: the study has succeeded if one cell has."""
    cells = cell_states.states(at.tasks)
    values: dict[str, Any] = {"finished_at": now(), "progress_eta": None}
    if at.study.status is JobStatus.CANCELLING:
        values["status"] = JobStatus.CANCELLED
    elif any(cell.status is TaskStatus.DONE for cell in cells):
        values |= {"status": JobStatus.SUCCEEDED, "result": _result(at, cells)}
    else:
        values |= {"status": JobStatus.FAILED, "error": _none_succeeded(at, cells)}
    move(session, at.study.id, event=values["status"], data=values.get("error"), **values)


def _result(at: Advance, cells: Sequence[CellState]) -> dict[str, Any]:
    found = Counter(cell.status for cell in cells)
    own = [task.seconds or 0.0 for task in at.tasks if not task.reused]
    return {
        "cells": len(cells),
        "succeeded": found[TaskStatus.DONE],
        "failed": found[TaskStatus.FAILED],
        "cancelled": found[TaskStatus.CANCELLED],
        "reused": sum(cell.reused for cell in cells),
        "seconds": round(sum(own), 3),
        "unfinished": _unfinished(at, cells),
    }


def _none_succeeded(at: Advance, cells: Sequence[CellState]) -> dict[str, Any]:
    return {
        "code": "no_cell_succeeded",
        "message": f"None of the {len(cells)} cells came to its end. Their errors say why; resume"
        " the study to try them again.",
        "unfinished": _unfinished(at, cells),
    }


def _unfinished(at: Advance, cells: Sequence[CellState]) -> list[dict[str, Any]]:
    """Cells, and behind them the audits by way of other models, which are of no cell."""
    of_cells = [
        {"cell": cell.name, "status": cell.status, "errors": _told(cell.errors)}
        for cell in cells
        if cell.status is not TaskStatus.DONE
    ]
    by_way_of_others = [
        {"cell": task.name, "status": task.status, "errors": _told([task.error or {}])}
        for task in at.tasks
        if task.kind is TaskKind.TRANSFER and task.status is not TaskStatus.DONE
    ]
    return [*of_cells, *by_way_of_others][:MOST_TOLD]


def _told(errors: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Errors by code and message: the jobs have the rest."""
    return [{"code": one.get("code"), "message": one.get("message")} for one in errors if one]
