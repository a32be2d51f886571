"""Models with finished audits."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session

from app.audits import files
from app.audits.report import CorpusClips
from app.audits.result import AuditResult
from app.audits.rows import write_index
from app.jobs.attempts import claim
from app.jobs.service import Submission
from app.jobs.states import JobKind
from app.persistence.database import connect, sessions
from app.persistence.storage import Storage
from app.registry import service as registry
from app.settings import Settings
from models.attacks import parse
from models.checkpoint import save_model
from tests.app.audits.conftest import LABELS, as_lines, found_report, found_result, found_rows
from tests.app.tiny import tiny_config, tiny_net
from tests.recorded import record

ATTACKS = (
    parse({"type": "fgsm", "epsilon": [0.02, 0.1]}),
    parse({"type": "noise", "epsilon": [0.02]}),
)

Audited = Callable[..., str]


@pytest.fixture
def model(starters: Path) -> str:
    folder = starters / "knowing"
    folder.mkdir()
    save_model(folder, tiny_net(), tiny_config(*LABELS))
    return "knowing"


@pytest.fixture
def audited(session: Session, settings: Settings, model: str, starters: Path) -> Iterator[Audited]:
    """`audited()` records an audit of the model that has succeeded, and gives its id; fields of its
    result may be given, and of the model in its report, and ``warnings``."""
    storage = Storage(settings.data_dir)
    storage.prepare()
    engine = connect(settings.database_url)

    def audited(
        of: str = model,
        owner: str = "local",
        reported: dict[str, Any] | None = None,
        warnings: tuple[str, ...] = (),
        corpus: str | None = None,
        **fields: Any,
    ) -> str:
        wanted = Submission(JobKind.AUDIT, owner, {"model": of}, model=of, warnings=warnings)
        job_id = record(session, wanted).id
        attempt = claim(sessions(engine), job_id)
        assert attempt is not None
        folder = files.attempt_dir(storage, job_id, attempt.number)
        (folder / files.ARTIFACTS).mkdir(parents=True)
        rows = found_rows(ATTACKS)
        (folder / files.ROWS).write_bytes(as_lines(rows))
        write_index(folder / files.ROWS)
        told = {"evidence": "sound"} | fields
        result = AuditResult.model_validate(found_result(rows, ATTACKS).model_dump() | told)
        report = found_report(job_id, result, [])
        entry = registry.get(session, storage, of, owner=owner)
        known = {"id": of, "name": of, "sha256": entry.sha256} | (reported or {})
        report = report.model_copy(update={"model": report.model.model_copy(update=known)})
        if corpus is not None:
            clips = CorpusClips(
                corpus="corpus_01K9ZQ3W8M4V7T2X6B5N0C1DEF", corpus_name=corpus, partition="test",
                of=12, left_out={},
            )  # fmt: skip
            report = report.model_copy(update={"clips": clips})
        (folder / files.REPORT).write_text(report.model_dump_json(), encoding="utf-8")
        attempt.succeed(result.model_dump(mode="json"))
        return job_id

    yield audited
    engine.dispose()
