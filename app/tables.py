"""Every table of the service in one metadata: for migrations, and for tests that empty them."""

from app.access.deletions.tables import Deletion
from app.access.keys.tables import ApiKey
from app.corpora.tables import Corpus
from app.jobs.tables import Job, JobEvent, Shard
from app.persistence.database import Base
from app.registry.tables import Model
from app.studies.tables import StudyTask

__all__ = [
    "ApiKey",
    "Corpus",
    "Deletion",
    "Job",
    "JobEvent",
    "Model",
    "Shard",
    "StudyTask",
    "metadata",
]

metadata = Base.metadata
