"""Fixtures for the tests of audits: a model, a corpus, and an audit that has found something."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session

from app.audits import files
from app.audits.rows import RowFormat, line
from app.corpora.tables import Corpus
from app.jobs.attempts import claim
from app.jobs.service import Submission
from app.jobs.states import JobKind
from app.persistence.database import connect, sessions
from app.persistence.storage import Storage
from app.settings import Settings
from models.audit import Attack, Outcome, Played, Row
from models.checkpoint import save_model
from tests.app.tiny import tiny_config, tiny_net
from tests.recorded import record
from tests.speechless import add_corpus

LABELS = ("anger", "joy", "sadness")
ATTACK = Attack((0.0, 0.1))


@pytest.fixture
def storage(settings: Settings) -> Storage:
    storage = Storage(settings.data_dir)
    storage.prepare()
    return storage


@pytest.fixture
def model(starters: Path) -> str:
    """A starter that knows the corpus' emotions."""
    folder = starters / "knowing"
    folder.mkdir()
    save_model(folder, tiny_net(), tiny_config(*LABELS))
    return "knowing"


@pytest.fixture
def corpus(session: Session, storage: Storage) -> Corpus:
    return add_corpus(session, storage)


@pytest.fixture
def body(model: str, corpus: Corpus) -> dict[str, Any]:
    """A request that holds."""
    return {
        "model": model,
        "corpus": corpus.id,
        "attacks": [{"type": "fgsm", "epsilon": [0.0, 0.1]}],
    }


def found_rows() -> list[Row]:
    """Twelve clips; every other one is broken at the second strength."""
    return [
        Row(
            number % 3 if number else None,
            Outcome(number % 3, (0.2, 0.3, 0.5)),
            (
                Outcome(number % 3, (0.2, 0.3, 0.5)),
                Outcome((number + number % 2) % 3, (0.5, 0.2, 0.3), Played(0, 20.5)),
            ),
        )
        for number in range(12)
    ]


@pytest.fixture
def finished(session: Session, storage: Storage, settings: Settings) -> Iterator[str]:
    """The id of an audit that has succeeded, with its files."""
    wanted = Submission(JobKind.AUDIT, "local", {"model": "knowing", "corpus": "corpus_X"})
    job_id = record(session, wanted).id
    engine = connect(settings.database_url)
    attempt = claim(sessions(engine), job_id)
    assert attempt is not None
    folder = files.attempt_dir(storage, job_id, attempt.number)
    (folder / files.ARTIFACTS).mkdir(parents=True)
    row_format = RowFormat(LABELS, [ATTACK])
    (folder / files.ROWS).write_bytes(
        b"".join(
            line(row_format.to_json(number, f"é{number}.wav", row))
            for number, row in enumerate(found_rows())
        )
    )
    (folder / files.REPORT).write_text(json.dumps({"object": "report", "audit": job_id}))
    content = bytes(range(256)) * 4
    (folder / files.ARTIFACTS / files.CURVE).write_bytes(content)
    (folder / files.ARTIFACTS / "secret.txt").write_bytes(b"not listed")
    artifact = {"name": files.CURVE, "media_type": "image/png", "description": "UAR against ε"}
    files.write_artifacts(folder, [artifact | {"bytes": len(content), "sha256": "0" * 64}])
    attempt.succeed({"n": 12})
    yield job_id
    engine.dispose()
