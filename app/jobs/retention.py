"""How long a job is kept after its end, by the settings of the service.

Times are computed when somebody asks and stand in no row: a setting that is changed counts for what
is there already.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Self

from app.jobs.states import JobStatus
from app.jobs.tables import Job
from app.settings import Settings, variable

AUDIO: Final = variable("keep_audio_days")
RESULTS: Final = variable("keep_results_days")
FAILED: Final = variable("keep_failed_days")


@dataclass(frozen=True)
class Retention:
    """How long things stay, from a job's end; None is for ever.

    Attributes:
        audio: recordings of an audit that has succeeded, uploaded and attacked ones.
        results: a job that has succeeded.
        failed: one that failed or was cancelled.
    """

    audio: timedelta | None = None
    results: timedelta | None = None
    failed: timedelta | None = None

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """That of the service."""
        return cls(
            audio=_time(settings.keep_audio_days),
            results=_time(settings.keep_results_days),
            failed=_time(settings.keep_failed_days),
        )

    def expires_at(self, job: Job) -> datetime | None:
        """When the job goes; None: not by itself, or it has not ended."""
        kept = self.results if job.status is JobStatus.SUCCEEDED else self.failed
        return _after(job.finished_at, kept)

    def audio_expires_at(self, job: Job) -> datetime | None:
        """When its recordings go; None: not by themselves, it has none, or they are gone."""
        if job.status is not JobStatus.SUCCEEDED or not job.audio_bytes or job.audio_expired_at:
            return None
        moments = (_after(job.finished_at, self.audio), self.expires_at(job))
        return min((moment for moment in moments if moment is not None), default=None)


FOR_EVER: Final = Retention()


def _time(days: float) -> timedelta | None:
    return timedelta(days=days) if days else None


def _after(finished_at: datetime | None, kept: timedelta | None) -> datetime | None:
    return None if finished_at is None or kept is None else finished_at + kept
