"""Advance a study in a transaction of its own, and put the jobs that it begins on their queues."""

import structlog
from sqlalchemy import select

from app.errors import Unavailable
from app.jobs.attempts import ALIVE
from app.jobs.queue import JobQueue
from app.jobs.service import Link, mark_enqueued
from app.jobs.services import Services
from app.jobs.states import QUEUED_KINDS
from app.jobs.tables import Job
from app.studies.advancing import Workers, advance
from app.studies.tables import StudyTask

log = structlog.get_logger("serval.studies")


def drive(services: Services, study_id: str) -> None:
    """Do what can be done for the study now; nothing if it has ended.

    Raises:
        SQLAlchemyError: the database is away. Whoever looks next does it.
    """
    workers = living(services.queue)
    with services.sessions.begin() as session:
        made = advance(session, study_id, workers)
    enqueue(services, made)


def drive_all_with(services: Services, job_id: str) -> None:
    """Drive the studies that wait for this job."""
    query = (
        select(StudyTask.study_id)
        .join(Job, Job.id == StudyTask.study_id)
        .where(StudyTask.job_id == job_id, Job.status.in_(ALIVE))
        .distinct()
    )
    with services.sessions() as session:
        waiting = list(session.scalars(query))
    for study_id in waiting:
        drive(services, study_id)


def living(queue: JobQueue) -> Workers:
    """How many workers live; nothing is known of them while Redis is away."""
    try:
        return {kind: queue.workers(kind) for kind in QUEUED_KINDS}
    except Unavailable as error:
        log.debug("workers are not counted", error=error.detail)
        return {}


def enqueue(services: Services, made: list[Link]) -> None:
    """Put new jobs on their queues. What Redis does not take, the reconciler finds."""
    for link in made:
        try:
            services.queue.enqueue(link.id, link.kind)
        except Unavailable as error:
            log.warning("left to the reconciler", job=link.id, error=error.detail)
            return
        with services.sessions() as session:
            mark_enqueued(session, link.id)
