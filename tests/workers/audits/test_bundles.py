"""Replay bundles: from an audit over HTTP to `serval replay`, which comes to the same counts."""

import hashlib
import io
import json
import sys
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from app.audits import files
from app.cli.main import main
from app.corpora.tables import Corpus
from app.replay.container import Container
from app.replay.making import Piece, signed
from app.replay.reading import verify_bundle
from app.signing.key_store import KeyStore
from app.signing.schemas import Signature
from models.audit import AuditRow
from models.checkpoint import CONFIG, WEIGHTS
from tests import spoken
from tests.workers.audits.audits import (
    CLIPS,
    FGSM,
    audited,
    done,
    findings,
    request,
)
from workers.runtime.context import WorkerContext

PGD = {"type": "pgd", "epsilon": [0.4], "steps": 3, "restarts": 2}
NOISE = {"type": "noise", "epsilon": [0.4], "draws": 2}
WAVE = {"type": "pgd", "domain": "waveform", "snr_db": [30, 5], "steps": 2}
SMALLEST = {"type": "fgsm", "epsilon": [0.6], "minimum": True, "clip": 5}
GAIN = {"type": "gain", "db": [-20]}
ALL = {"attacks": [FGSM, PGD, NOISE, WAVE, SMALLEST], "corruptions": [GAIN]}


@dataclass(frozen=True)
class Said:
    """How a command ended and what it printed."""

    status: int
    out: str
    err: str


Serval = Callable[..., Said]


@pytest.fixture
def serval(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Serval:
    """`serval("replay", path)` runs the command line in this process, without any service."""
    monkeypatch.setenv("COLUMNS", "200")

    def serval(*arguments: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["serval", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        return Said(int(ended.value.code or 0), out, err)

    return serval


@pytest.fixture
def audit(client: TestClient, model: str, corpus: Corpus) -> str:
    """The id of an audit that has succeeded."""
    return str(audited(client, request(model, corpus, **ALL))["id"])


@pytest.fixture
def fetch(client: TestClient, audit: str, tmp_path: Path) -> Callable[..., Path]:
    """`fetch(audio=True)` saves the audit's bundle."""

    def fetch(**query: Any) -> Path:
        answer = client.get(f"/v1/audits/{audit}/bundle", params=query)
        assert answer.status_code == 200, answer.text
        path = tmp_path / "bundle.zip"
        path.write_bytes(answer.content)
        return path

    return fetch


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    """The corpus as its owner has it: a zip archive."""
    path = tmp_path / "speech.zip"
    path.write_bytes(spoken.archive().getvalue())
    return path


class TestReplay:
    def test_a_bundle_with_audio_comes_to_the_same_counts(
        self, fetch: Callable[..., Path], serval: Serval
    ) -> None:
        said = serval("replay", fetch(audio=True))
        assert said.status == 0, said.out + said.err
        assert f"The same counts: {CLIPS} clips" in said.out
