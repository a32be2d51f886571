"""Audits that have found something, to compare."""

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy.orm import Session

from app.audits import files
from app.audits.files import Input
from app.audits.report import CorpusClips, UploadedClips
from app.audits.rows import write_index
from app.jobs.attempts import claim
from app.jobs.service import Submission
from app.jobs.states import JobKind
from app.persistence.database import connect, sessions
from app.persistence.storage import Storage
from app.settings import Settings
from models.audit import AuditRow
from models.audit.checks import Evidence
from tests.app.audits.conftest import as_lines, found_report, found_result, found_rows
from tests.recorded import record

Audited = Callable[..., str]
CORPUS = "corpus_01K9ZQ3W8M4V7T2X6B5N0C1DEF"
REQUEST: dict[str, Any] = {
    "model": "knowing",
    "corpus": CORPUS,
    "partition": "test",
    "seed": 0,
    "attacks": [{"type": "fgsm", "epsilon": [0.0, 0.1], "clip": None}],
    "harden": None,
}


@pytest.fixture
def storage(settings: Settings) -> Storage:
    storage = Storage(settings.data_dir)
    storage.prepare()
    return storage


def unbroken(rows: Sequence[AuditRow]) -> list[AuditRow]:
    """The same clips with a model that nothing breaks."""
    return [
        row.model_copy(
            update={
                "attacked": [
                    one.model_copy(update={**row.clean.model_dump(), "success": False})
                    for one in row.attacked
                ]
            }
        )
        for row in rows
    ]


@pytest.fixture
def audited(session: Session, storage: Storage, settings: Settings) -> Iterator[Audited]:
    """Makes an audit that has succeeded, see `auditing`."""
    with auditing(session, storage, settings) as made:
        yield made


@contextmanager
def auditing(session: Session, storage: Storage, settings: Settings) -> Iterator[Audited]:
    """Makes an audit that has succeeded.

    ``audited(rows, request={...}, model={...}, environment={...}, corpus=..., uploads=[...])``
    changes what its report says; all have twelve clips of one corpus otherwise. ``joy`` is what
    its model calls that, ``queued`` the audit that succeeds, if there is one already, and
    ``evidence`` what its evidence is worth.
    """
    engine = connect(settings.database_url)

    def audited(
        rows: Sequence[AuditRow] | None = None,
        *,
        owner: str = "local",
        request: dict[str, Any] | None = None,
        model: dict[str, Any] | None = None,
        environment: dict[str, Any] | None = None,
        corpus: str = CORPUS,
        uploads: Sequence[bytes] = (),
        joy: str = "joy",
        queued: str | None = None,
        evidence: Evidence | None = "sound",
    ) -> str:
        rows = found_rows() if rows is None else rows
        asked = REQUEST | {"corpus": corpus} | (request or {})
        wanted = Submission(JobKind.AUDIT, owner, asked, model="knowing")
        job_id = queued or record(session, wanted).id
        attempt = claim(sessions(engine), job_id)
        assert attempt is not None
        folder = files.attempt_dir(storage, job_id, attempt.number)
        folder.mkdir(parents=True)
        (folder / files.ROWS).write_bytes(as_lines(rows).replace(b'"joy"', f'"{joy}"'.encode()))
        write_index(folder / files.ROWS)
        result = found_result(rows).model_copy(update={"evidence": evidence})
        report = found_report(job_id, result, [])
        clips: CorpusClips | UploadedClips = CorpusClips(
            corpus=corpus, corpus_name="speechless", partition="test", of=12, left_out={}
        )
        if uploads:
            clips = UploadedClips(uploaded=len(uploads))
            _upload(storage, job_id, uploads)
        changed = report.model_copy(
            update={
                "request": asked,
                "clips": clips,
                "model": report.model.model_copy(update=model or {}),
                "environment": report.environment.model_copy(update=environment or {}),
            }
        )
        (folder / files.REPORT).write_text(changed.model_dump_json(), encoding="utf-8")
        attempt.succeed(json.loads(result.model_dump_json().replace('"joy"', f'"{joy}"')))
        return job_id

    yield audited
    engine.dispose()


def _upload(storage: Storage, job_id: str, uploads: Sequence[bytes]) -> None:
    folder = files.inputs_dir(storage, job_id)
    folder.mkdir(parents=True)
    for number, content in enumerate(uploads):
        files.input_path(folder, number).write_bytes(content)
    files.write_inputs(folder, [Input(f"{n}.wav", None, 0.6) for n in range(len(uploads))])
