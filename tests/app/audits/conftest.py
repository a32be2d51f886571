"""Fixtures for the tests of audits: a model, a corpus, and an audit that has found something."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.orm import Session

from app.audits import files, fit
from app.audits.files import ArtifactFile
from app.audits.forecasts import ForecastFigures
from app.audits.report import Environment, Report, ReportedModel, UploadedClips
from app.audits.result import AuditResult
from app.audits.rows import write_index
from app.corpora.tables import Corpus
from app.jobs.attempts import claim
from app.jobs.service import Submission
from app.jobs.states import JobKind
from app.persistence.database import connect, sessions
from app.persistence.storage import Storage
from app.settings import Settings
from models.attacks import Attack, parse
from models.audit import AuditRow, ClipPrediction, summarize
from models.audit.evidence import AttackedPrediction, CostSpent, Distortion, Resynthesised
from models.audit.result import Scale
from models.checkpoint import save_model
from tests.app.tiny import tiny_config, tiny_net
from tests.recorded import record
from tests.speechless import add_corpus

LABELS = ("anger", "joy", "sadness")
ATTACKS: tuple[Attack, ...] = (parse({"type": "fgsm", "epsilon": [0.0, 0.1]}),)


@pytest.fixture(autouse=True)
def small_partitions_are_no_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    """The corpora of these tests are tiny; what is said of that has tests of its own."""
    monkeypatch.setattr(fit, "remarks", lambda *_: [])


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


def prediction(label: int, *scores: float) -> ClipPrediction:
    """What a model says: the label of that number, with these scores."""
    return ClipPrediction(label=LABELS[label], scores=dict(zip(LABELS, scores, strict=True)))


def attacked(said: ClipPrediction, strength: float, *, success: bool, attack: int = 0,
             details: dict[str, Any] | None = None) -> AttackedPrediction:  # fmt: skip
    """The same under an attack; played as sound if it is a success."""
    return AttackedPrediction(
        label=said.label,
        scores=said.scores,
        attack=attack,
        strength=strength,
        success=success,
        no_direction=False,
        distortion=Distortion(linf=strength, l2=2 * strength, snr_db=None, band_db=3 * strength),
        cost=CostSpent(forwards=2, backwards=1, queries=0),
        audio=Resynthesised(label="anger", snr_db=20.5) if success else None,
        details=details or {},
    )


def found_rows(attacks: Sequence[Attack] = ATTACKS) -> list[AuditRow]:
    """Twelve clips, the first without a label; every other one is broken at the last strength of
    each attack."""
    rows = []
    for number in range(12):
        truth, broken = number % 3, number % 2 == 1
        clean = prediction(truth, 0.2, 0.3, 0.5)
        after = prediction((truth + broken) % 3, 0.5, 0.2, 0.3)
        rows.append(
            AuditRow(
                index=number,
                clip=f"é{number}.wav",
                label=LABELS[truth] if number else None,
                speaker=f"speaker {number % 4}",
                gender="f" if number % 2 else None,
                duration_s=0.6,
                clean=clean,
                attacked=[
                    attacked(
                        after if strength == attack.strengths[-1] else clean,
                        strength,
                        success=broken and strength == attack.strengths[-1],
                        attack=place,
                    )
                    for place, attack in enumerate(attacks)
                    for strength in attack.strengths
                ],
            )
        )
    return rows


def as_lines(rows: Sequence[AuditRow]) -> bytes:
    """The content of a file of rows."""
    return b"".join(row.model_dump_json().encode() + b"\n" for row in rows)


def found_result(rows: Sequence[AuditRow], attacks: Sequence[Attack] = ATTACKS) -> AuditResult:
    """What the rows add up to."""
    summary = summarize(
        rows,
        LABELS,
        attacks,
        of=len(rows),
        scale=Scale(lowest=0.9, median=1.0, highest=1.1),
        seconds={},
    )
    cost = summary.cost.model_dump(include={"forwards", "backwards", "queries"})
    return AuditResult(
        **summary.model_dump(),
        forecast=ForecastFigures(clips=len(rows), **cost, exact=True, seconds=1.5, device="cpu"),
        windows="all",
        precision="float32",
    )


def found_report(audit: str, result: AuditResult, artifacts: list[ArtifactFile]) -> Report:
    """The report of the same."""
    return Report(
        audit=audit,
        created_at="2026-03-01T12:00:00Z",
        request={"model": "knowing"},
        model=ReportedModel(
            id="knowing",
            name="knowing",
            sha256="0" * 64,
            architecture="tiny",
            labels=list(LABELS),
            frames=32,
            front_end="logmel-1",
            defense={"type": "single"},
            training={},
        ),
        clips=UploadedClips(uploaded=12),
        result=result,
        artifacts=artifacts,
        environment=Environment(
            serval="0", python="3", torch="2", numpy="2", device="cpu", threads=1
        ),
    )


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
    rows = found_rows()
    (folder / files.ROWS).write_bytes(as_lines(rows))
    write_index(folder / files.ROWS)
    content = bytes(range(256)) * 4
    (folder / files.ARTIFACTS / files.CURVE).write_bytes(content)
    (folder / files.ARTIFACTS / "secret.txt").write_bytes(b"not listed")
    made = [
        ArtifactFile(
            name=files.CURVE,
            media_type="image/png",
            description="UAR against ε",
            bytes=len(content),
            sha256="0" * 64,
        )
    ]
    files.write_artifacts(folder, made)
    result = found_result(rows)
    report = found_report(job_id, result, made)
    (folder / files.REPORT).write_text(report.model_dump_json(), encoding="utf-8")
    attempt.succeed(result.model_dump(mode="json"))
    yield job_id
    engine.dispose()
