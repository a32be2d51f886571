"""Reports as the API sees them: found, read in whatever shape they were stored, and written."""

from pathlib import Path

from sqlalchemy.orm import Session

from app.audits import service as audits
from app.persistence.storage import Storage
from app.reports.material import Material


def material(
    session: Session,
    storage: Storage,
    audit_id: str,
    *,
    owner: str,
    base_url: str,
    fonts: Path | None = None,
) -> Material:
    """What the report of a finished audit is written from.

    Raises:
        NotFound: there is no such audit, it is another key's, or its files are gone.
        Conflict: it has not succeeded.
    """
    job, folder = audits.findings(session, storage, audit_id, owner=owner)
    # What a crash leaves of a staging folder is removed at the next start: it names people.
    return Material(audits.report(folder, job), folder, base_url, fonts, storage.staging)
