"""The tables and figures of a study: made when somebody asks, and kept once it has ended.

Those of a study that goes on are as far as it is. Those of one that has ended are made once, and
outlive its audits; whoever resumes it has them made anew.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import structlog
from pydantic import ValidationError
from sqlalchemy import update
from sqlalchemy.orm import Session

from app.corpora import service as corpora
from app.corpora.tables import Corpus
from app.errors import Invalid, NotFound, ServalError, Unavailable, shown
from app.jobs import service as jobs
from app.jobs.states import JobKind
from app.jobs.tables import Job
from app.persistence.kept import tree_size
from app.persistence.storage import Storage
from app.reports.charts.chart import Chart
from app.reports.charts.robustness import robustness
from app.studies import findings
from app.studies.schemas import StudyRequest
from models.corpus.manifest import CorpusError, Manifest
from models.studies.result import StudyResult, assemble

log = structlog.get_logger("serval.studies")

MAKING: Final = threading.BoundedSemaphore(1)
"""Each reads the rows of all audits of a study, and keeps a core busy for as long."""
OWN_PROTOCOL: Final = "that of the study, with no preset"


def result(session: Session, storage: Storage, study_id: str, *, owner: str) -> StudyResult:
    """All tables of the study as it is now.

    Raises:
        NotFound, Gone: there is no such study, or it is another key's.
        Unavailable: the tables of another one are being made.
    """
    study = jobs.get(session, study_id, owner=owner, kind=JobKind.STUDY)
    kept = storage.job_dir(study_id) / f"result-{study.attempt}.json"
    if study.status.terminal and kept.is_file():
        try:
            return StudyResult.model_validate_json(kept.read_bytes())
        except ValidationError as error:  # of a version with other tables
            log.info("the tables are made anew", study=study_id, error=str(error))
    with _alone():
        made = _make(session, storage, study)
    if study.status.terminal:
        _keep(session, storage, kept, made)
    return made


def figures(found: StudyResult) -> list[Chart]:
    """The drawings of a study."""
    return robustness(found.curves, max(1, len(found.partition.emotions)))


def figure(found: StudyResult, name: str) -> Chart:
    """The drawing of that name.

    Raises:
        NotFound: there is none.
    """
    for chart in figures(found):
        if f"{chart.name}.svg" == name:
            return chart
    raise NotFound(f"The study has no figure {shown(name)}. GET its figures for a list.")


def _make(session: Session, storage: Storage, study: Job) -> StudyResult:
    request = StudyRequest.model_validate(study.request)
    corpus = session.get(Corpus, request.corpus)
    return assemble(
        findings.read(session, storage, study, request),
        _manifest(storage, corpus),
        corpus=request.corpus if corpus is None else corpus.name,
        protocol=request.preset or OWN_PROTOCOL,
        deviations=request.deviations(),
    )


def _manifest(storage: Storage, corpus: Corpus | None) -> Manifest:
    """What the corpus contains; nothing, if it was deleted since."""
    if corpus is None:
        return Manifest(())
    try:
        return corpora.read_manifest(storage.published(storage.corpus_dir(corpus.id)))
    except (OSError, CorpusError, Invalid) as error:
        log.warning("a study's corpus cannot be read", corpus=corpus.id, error=str(error))
        return Manifest(())


def _keep(session: Session, storage: Storage, path: Path, made: StudyResult) -> None:
    """Write it beside the job, in the place of what an earlier attempt kept. On a full disk the
    tables are made anew each time."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for old in path.parent.glob("result-*.json"):
            old.unlink()
        with storage.staging() as staged:
            (staged / path.name).write_text(made.model_dump_json())
            storage.publish(staged / path.name, path)
    except (OSError, ServalError) as error:
        log.warning("the tables are not kept", path=str(path), error=str(error))
        return
    size = tree_size(path.parent)
    session.execute(
        update(Job)
        .where(Job.id == path.parent.name)
        .values(bytes=size)
        .execution_options(synchronize_session=False)
    )
    session.commit()


@contextmanager
def _alone() -> Iterator[None]:
    if not MAKING.acquire(blocking=False):
        raise Unavailable(
            "The tables of a study are being made already. Send this one again later.",
            code="tables_busy",
            retry_after=2,
        )
    try:
        yield
    finally:
        MAKING.release()
