"""Prometheus metrics of this process. One registry an app, so that two apps do not mix."""

from collections.abc import Iterable

import structlog
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, sessionmaker

from app.jobs.states import JobKind, JobStatus
from app.jobs.tables import Job

log = structlog.get_logger("serval.metrics")

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60)


class Metrics:
    """What is counted. Other domains add their own to ``registry``."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "serval_http_requests",
            "Requests answered.",
            ["method", "route", "status"],
            registry=self.registry,
        )
        self.latency = Histogram(
            "serval_http_request_seconds",
            "Seconds from the request's arrival to the end of its answer.",
            ["method", "route"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.in_flight = Gauge(
            "serval_http_requests_in_flight", "Requests being answered.", registry=self.registry
        )
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)

    def saw(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request. Routes are templates and methods known, so labels stay few."""
        method = method if method in METHODS else "OTHER"
        self.requests.labels(method, route, str(status)).inc()
        self.latency.labels(method, route).observe(seconds)


METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


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
