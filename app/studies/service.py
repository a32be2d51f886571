"""Studies as the API sees them: accept one, add to it, try again what failed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from pydantic import ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.access.allowance import Allowance, check_bytes
from app.corpora import service as corpora
from app.errors import Conflict, Invalid, NotFound
from app.http.problems import invalid
from app.jobs import service as jobs
from app.jobs.schemas import path_of
from app.jobs.service import Link, Submission
from app.jobs.services import Services
from app.jobs.states import TERMINAL, JobKind, JobStatus, kind_of
from app.jobs.tables import Job
from app.jobs.transitions import move
from app.registry.tables import Model
from app.settings import variable
from app.studies import driving, existing, forecasts, reuse
from app.studies.advancing import advance, lock, read_tasks
from app.studies.cells import CellState, states
from app.studies.planning import Plan, Task, plan
from app.studies.schemas import CellsRequest, StudyForecast, StudyRequest
from app.studies.tables import StudyTask, TaskKind, TaskStatus


def create(
    session: Session,
    services: Services,
    request: StudyRequest,
    *,
    owner: str,
    idempotency_key: str | None = None,
) -> Job:
    """Accept a study, and begin it.

    Raises:
        NotFound: there is no such corpus, or it is another key's.
        Invalid: it has more cells than allowed, or one of its trainings or audits would be refused.
        Unavailable: the queue is away; nothing is left behind.
    """
    asked = Submission(
        kind=JobKind.STUDY,
        owner=owner,
        request=request.to_request(),
        metadata=request.metadata,
        idempotency_key=idempotency_key,
    )
    replayed = jobs.replay(session, asked)
    if replayed is not None:
        return replayed
    wanted, there = planned(session, services, request, owner=owner)
    session.rollback()  # no connection is held, and nothing is locked, while Redis is asked
    workers = driving.living(services.queue)
    made: list[Link] = []

    def begin(session: Session, job: Job) -> None:
        _write(session, job.id, wanted.tasks, there)
        made.extend(advance(session, job.id, workers))

    asked = replace(
        asked,
        warnings=wanted.warnings,
        lock_for_share=lambda session: corpora.lock_for_share(session, request.corpus),
    )
    most = Allowance.of(services.settings)
    job = jobs.accept_running(session, services.queue, asked, most, begin)
    driving.enqueue(services, made)
    return job


def dry_run(
    session: Session, services: Services, request: StudyRequest, *, owner: str
) -> StudyForecast:
    """The forecast of a study that would be accepted.

    Raises:
        NotFound, Invalid: as `create`.
    """
    wanted, there = planned(session, services, request, owner=owner)
    return forecasts.forecast(session, services.queue, wanted, there)


def planned(
    session: Session, services: Services, request: StudyRequest, *, owner: str
) -> tuple[Plan, Mapping[str, str]]:
    """What a study consists of, and which of its trainings are there already, by identity.

    Raises:
        NotFound, Invalid: as `create`.
    """
    most = services.settings.max_study_cells
    if request.n_cells > most:
        raise _too_many_cells(session, services, request)
    wanted = plan(session, services, request, owner=owner)
    return wanted, existing.trainings(session, services.storage, wanted, owner=owner)


def _too_many_cells(session: Session, services: Services, request: StudyRequest) -> Invalid:
    most = services.settings.max_study_cells
    told = forecasts.in_words(forecasts.of_grid(session, services.queue, request))
    return Invalid.of(
        "architectures",
        list(request.architectures),
        f"with {len(request.trainings)} trainings, {len(request.epsilons)} epsilons,"
        f" {len(request.seeds)} seeds and {len(request.train_on)} train_on these are"
        f" {request.n_cells} cells, more than the {most} that this service allows"
        f" ({variable('max_study_cells')}); {told}",
        "give fewer of them, and add others to the study later",
        code="too_many_cells",
    )


def _write(
    session: Session, study_id: str, tasks: Sequence[Task], there: Mapping[str, str]
) -> None:
    """Make the tasks of the plan those of the study. What is done stays, unless something else is
    asked of it now."""
    kept = reuse.kept(session, there.values())
    there = {name: job_id for name, job_id in there.items() if job_id in kept}
    before = {task.name: task for task in read_tasks(session, study_id)}
    number = max((task.number for task in before.values()), default=-1)
    for task in tasks:
        known = before.pop(task.name, None)
        if known is None:
            number += 1
            session.add(_row(study_id, number, task, there.get(task.identity or "")))
        elif known.kind is not TaskKind.TRAINING and known.work != task.work:
            _ask_anew(session, known, task)
    for gone in before.values():  # by way of models that others have taken the place of
        _stop_job(session, gone)
        session.delete(gone)
    session.flush()


def _row(study_id: str, number: int, task: Task, job_id: str | None) -> StudyTask:
    return StudyTask(
        study_id=study_id,
        number=number,
        kind=task.kind,
        name=task.name,
        cell=task.cell,
        partition=task.partition,
        needs=list(task.needs),
        work=task.work,
        warnings=list(task.warnings),
        identity=task.identity,
        status=TaskStatus.WAITING if job_id is None else TaskStatus.ACTIVE,
        job_id=job_id,
        reused=job_id is not None,
    )


def _ask_anew(session: Session, known: StudyTask, task: Task) -> None:
    """An audit of other strengths than before: the one that was made stays a job of the study."""
    _stop_job(session, known)
    known.work, known.needs, known.warnings = task.work, list(task.needs), list(task.warnings)
    _wait_again(known)


def _stop_job(session: Session, task: StudyTask) -> None:
    job = None if task.reused or task.job_id is None else session.get(Job, task.job_id)
    if job is not None:
        jobs.stop(session, job.id, job.status)


def _wait_again(task: StudyTask) -> None:
    """Have it done anew. A training that was shared went on when the study was cancelled, so it is
    waited for again; if it comes to nothing, the study does it itself."""
    shared = task.kind is TaskKind.TRAINING and task.reused and task.job_id is not None
    if task.status is TaskStatus.CANCELLED and shared:
        task.status = TaskStatus.ACTIVE
    else:
        task.status, task.job_id, task.reused = TaskStatus.WAITING, None, False
    task.error = task.seconds = task.model = None


def add_cells(
    session: Session, services: Services, study_id: str, more: CellsRequest, *, owner: str
) -> Job:
    """Add to the axes of the study's grid; one that has ended goes on. Adding what is there already
    changes nothing.

    Raises:
        NotFound: there is no such study, it is another key's, or its corpus was deleted.
        Conflict: it was cancelled, or another request adds to it just now.
        Invalid: as `create`; the study stays as it is.
    """
    study = jobs.get(session, study_id, owner=owner, kind=JobKind.STUDY)
    stored = study.request
    joined = more.joined(stored)
    if joined == stored:
        return study
    try:
        request = StudyRequest.model_validate(joined)
    except ValidationError as error:
        raise invalid(error.errors(), what="The study with what is to be added") from error
    wanted, there = planned(session, services, request, owner=owner)

    def change(study: Job) -> None:
        if study.status is JobStatus.CANCELLED:
            raise Conflict(
                f"{study_id} was cancelled. Resume it (POST {_path(study_id)}/resume), and add to"
                " it then.",
                code="study_cancelled",
            )
        if study.request != stored:
            raise Conflict(
                f"Another request has just added to {study_id}. Send this one again.",
                code="study_changed",
            )
        data = more.model_dump(mode="json")
        move(session, study_id, event="cells_added", data=data, request=request.to_request())
        _write(session, study_id, wanted.tasks, there)

    return _change(session, services, study_id, change)


def resume(session: Session, services: Services, study_id: str, *, owner: str) -> Job:
    """Try again what failed or was cancelled. A study without such cells stays as it is.

    Raises:
        NotFound: there is no such study, it is another key's, or its corpus was deleted.
        Conflict: it is being cancelled.
    """
    study = jobs.get(session, study_id, owner=owner, kind=JobKind.STUDY)
    if study.status is not JobStatus.CANCELLING and not _to_try_again(session, study_id):
        return study

    def change(_: Job) -> None:
        for task in _to_try_again(session, study_id):
            _wait_again(task)
        session.flush()

    return _change(session, services, study_id, change)


def _to_try_again(session: Session, study_id: str) -> list[StudyTask]:
    """The tasks that came to nothing, the trainings of theirs whose models are gone, and what was
    attacked by way of fewer models than there will be."""
    tasks = read_tasks(session, study_id)
    found = [task for task in tasks if task.status in (TaskStatus.FAILED, TaskStatus.CANCELLED)]
    needed = {cell for task in found for cell in task.needs}
    there = set(session.scalars(select(Model.id).where(Model.id.in_({t.model for t in tasks}))))
    again = [task.cell for task in found if task.kind is TaskKind.TRAINING]
    return found + [
        task
        for task in tasks
        if task.status is TaskStatus.DONE
        and (
            (task.kind is TaskKind.TRANSFER and not set(again).isdisjoint(task.needs))
            or (task.kind is TaskKind.TRAINING and task.cell in needed and task.model not in there)
        )
    ]


def _change(
    session: Session, services: Services, study_id: str, change: Callable[[Job], None]
) -> Job:
    """Change a study's tasks while nobody else does, and have it go on.

    Args:
        change: called with the study, whose row is locked; commits nothing.

    Raises:
        Conflict: it is being cancelled.
        NotFound: it was deleted just now, or its corpus was.
        TooMany: its owner keeps as many bytes as it may; or it had ended, and its owner has as
            many unfinished jobs as it may.
        Unavailable: the queue is away; nothing is changed.
    """
    services.queue.ping()
    workers = driving.living(services.queue)
    most = Allowance.of(services.settings)
    try:
        study = lock(session, study_id, JobStatus)
        if study is None:
            raise NotFound(f"There is no study {study_id} any more. GET /v1/studies lists yours.")
        if study.status is JobStatus.CANCELLING:
            raise Conflict(
                f"{study_id} is being cancelled. Wait until it is, and send this one again.",
                code="study_cancelling",
            )
        change(study)
        corpora.lock_for_share(session, study.request["corpus"])
        if study.status in TERMINAL:
            jobs.running(session, study)
            jobs.check_allowance(session, study.owner, most)
        check_bytes(session, study.owner, most)
        made = advance(session, study_id, workers)
    except Exception:
        session.rollback()
        raise
    session.commit()
    driving.enqueue(services, made)
    return session.get_one(Job, study_id, populate_existing=True)


def cells(
    session: Session, study_id: str, *, owner: str, after: str | None, limit: int
) -> tuple[list[CellState], bool]:
    """Cells of a study, in their order, those behind the one of that name; and whether there are
    more.

    Raises:
        NotFound: there is no such study, or it is another key's.
        Invalid: ``after`` is none of its cells.
    """
    jobs.get(session, study_id, owner=owner, kind=JobKind.STUDY)
    found = states(read_tasks(session, study_id))
    names = [cell.name for cell in found]
    if after is not None and after not in names:
        raise Invalid.of("after", after, "is no cell of the study", "give the last one's name")
    rest = found if after is None else found[names.index(after) + 1 :]
    return rest[:limit], len(rest) > limit


def after_cancel(services: Services, job_id: str) -> None:
    """Have the jobs of a study cancelled that is to stop; nothing for another job."""
    if kind_of(job_id) is JobKind.STUDY:
        driving.drive(services, job_id)


def _path(study_id: str) -> str:
    return path_of(study_id, JobKind.STUDY)
