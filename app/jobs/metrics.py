"""Prometheus metrics of the jobs, by kind and status."""

from collections.abc import Iterable

import structlog
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

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
