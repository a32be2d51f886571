"""A study's Figure 2: pictures that its audits have drawn of what an attack does to a clip."""

from collections.abc import Iterator

from sqlalchemy.orm import Session

from app.audits import files
from app.audits import service as audits
from app.errors import Conflict, Gone, NotFound
from app.jobs.schemas import path_of
from app.jobs.states import JobKind
from app.persistence.storage import Storage
from app.studies.schemas import StudyFigure
from models.studies.result import StudyResult


def pictures(
    session: Session, storage: Storage, found: StudyResult, *, owner: str
) -> Iterator[StudyFigure]:
    """Those of the models without a defence, network by network. An audit whose files were removed
    has none any more."""
    for one in found.figure_2:
        try:
            _, folder = audits.findings(session, storage, one.audit, owner=owner)
            drawn = files.read_artifacts(folder)
        except (Conflict, Gone, NotFound, OSError):
            continue
        base = f"{path_of(one.audit, JobKind.AUDIT)}/artifacts"
        for picture in drawn:
            if files.is_picture_pair(picture.name):
                yield StudyFigure(
                    name=f"{one.architecture}-{picture.name}",
                    title=f"A clip as it is and under attack, {one.architecture} without a"
                    f" defence, {one.partition}",
                    description=picture.description,
                    url=f"{base}/{picture.name}",
                )
