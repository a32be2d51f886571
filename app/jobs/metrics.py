"""Prometheus metrics of jobs, by kind and status, and of the workers, by queue."""

from collections.abc import Iterable

import structlog
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from app.errors import Unavailable
from app.jobs.queue import JobQueue, living_workers
from app.jobs.states import JobKind, JobStatus
from app.jobs.tables import Job

log = structlog.get_logger("serval.metrics")


class JobsCollector(Collector):
    """Jobs by kind and status, counted in the database when somebody asks."""

    def __init__(self, sessions: sessionmaker[Session]) -> None:
        self._sessions = sessions

    def collect(self) -> Iterable[Metric]:
        """One sample for each kind and status, zeros too; none while the database is away, for all
        other metrics are needed most then."""
        try:
            counts = self._counts()
        except SQLAlchemyError as error:
            log.warning("jobs are not counted", error=str(error))
            return []
        family = GaugeMetricFamily("serval_jobs", "Jobs.", labels=["kind", "status"])
        for kind in JobKind:
            for status in JobStatus:
                family.add_metric([kind, status], counts.get((kind, status), 0))
        return [family]

    def _counts(self) -> dict[tuple[str, str], int]:
        query = select(Job.kind, Job.status, func.count()).group_by(Job.kind, Job.status)
        with self._sessions() as session:
            return {(kind, status): count for kind, status, count in session.execute(query)}


class WorkersCollector(Collector):
    """Workers that live, by queue, counted in Redis when somebody asks."""

    def __init__(self, queue: JobQueue) -> None:
        self._queue = queue

    def collect(self) -> Iterable[Metric]:
        """One sample for each queue; none while Redis is away."""
        try:
            workers = living_workers(self._queue)
        except Unavailable as error:
            log.warning("workers are not counted", error=error.detail)
            return []
        family = GaugeMetricFamily("serval_workers", "Workers that live.", labels=["queue"])
        for queue, count in workers.items():
            family.add_metric([queue], count)
        return [family]
