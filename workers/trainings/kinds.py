"""What a training trains: a model, or a detector for one."""

from app.jobs.attempts import Attempt
from app.trainings.detector_request import TYPE
from workers.runtime.context import WorkerContext
from workers.runtime.outcome import JobResult
from workers.runtime.progress import Watchdog
from workers.trainings import detector_job, training_job


def perform(context: WorkerContext, attempt: Attempt, watchdog: Watchdog) -> JobResult:
    """Train what the request's ``type`` says, a model without one."""
    if attempt.request.get("type") == TYPE:
        return detector_job.perform(context, attempt, watchdog)
    return training_job.perform(context, attempt, watchdog)
