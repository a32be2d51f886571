"""A job that was accepted and whose id nobody has queued yet: its row, without Redis."""

from sqlalchemy.orm import Session

from app.jobs import service
from app.jobs.service import Submission
from app.jobs.tables import Job


def record(session: Session, submission: Submission) -> Job:
    """Commit the row of a job."""
    job = service.insert(session, submission)
    session.commit()
    return job
