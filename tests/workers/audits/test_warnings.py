"""What recordings warn of, in the rows, the result and the report of an audit."""

import io
import json
import shutil
import zipfile
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

from app.audits import files
from app.corpora import service as corpora
from app.corpora.schemas import CorpusRequest
from app.corpora.tables import Corpus
from app.registry import service as registry
from models.audio import decode, encode_wav
from models.corpus.conditions import CONDITIONS_NAME
from tests import spoken
from tests.workers.audits.audits import audited, done, findings, request, rows
from workers.runtime.context import WorkerContext

FGSM = {"type": "fgsm", "epsilon": [0.02]}
QUIET = 0.1
"""By which the quiet clips are quieter: 20 dB."""
LEVELS = (-15.0, 0.0)
"""The model is meant for; clips lie at -8 dBFS, the quiet ones at -28."""


@pytest.fixture
def model(session: Session, context: WorkerContext) -> str:
    net, config = spoken.ear()
    config = replace(config, levels_dbfs=LEVELS)
    row = registry.publish(session, context.storage, net, config, owner="local", name="an ear")
    session.commit()
    return row.id


@pytest.fixture
def corpus(session: Session, context: WorkerContext) -> Corpus:
    """Each speaker says each emotion as loud as ever, quietly, and in a part of a second."""
    file = io.BytesIO()
    lines = ["path,speaker,emotion,split"]
    with zipfile.ZipFile(file, "w") as zipped:
        for number, speaker in enumerate(("ada", "bob", "cid")):
            split = ("train", "dev", "test")[number]
            for emotion, pitch in spoken.EMOTIONS.items():
                for kind, seconds in (("loud", 0.6), ("quiet", 0.6), ("short", 0.3)):
                    name = f"{speaker}/{emotion}-{kind}.wav"
                    hum = spoken.hum(pitch, number, seconds) * (QUIET if kind == "quiet" else 0.5)
                    zipped.writestr(name, encode_wav(hum, encoding="pcm16"))
                    lines.append(f"{name},{speaker},{emotion},{split}")
        zipped.writestr("index.csv", "\n".join(lines))
    file.seek(0)
    return corpora.create(
        session,
        context.storage,
        context.settings,
        file,
        CorpusRequest(name="loud, quiet and short"),
        owner="local",
        watch=lambda _done, _total: None,
    )


def expected(clip: str) -> list[str]:
    return {"loud": [], "quiet": ["level"], "short": ["too_short"]}[clip.split("-")[1][:-4]]


def test_are_those_of_predictions_and_counted(
    client: TestClient, model: str, corpus: Corpus, context: WorkerContext
) -> None:
    job = audited(client, request(model, corpus, attacks=[FGSM]))
    found = rows(context, job["id"])
    assert {row["clip"]: row["warnings"] for row in found} == {
        row["clip"]: expected(row["clip"]) for row in found
    }
    counted = [{"code": "level", "clips": 3}, {"code": "too_short", "clips": 3}]
    assert job["result"]["warnings"] == counted
    report = json.loads((findings(context, job["id"]) / files.REPORT).read_text())
    assert report["result"]["warnings"] == counted


def test_of_clips_that_are_not_scored_are_not_counted(
    client: TestClient, model: str, corpus: Corpus, context: WorkerContext
) -> None:
    job = audited(client, request(model, corpus, attacks=[FGSM], limit=4))
    found = rows(context, job["id"])
    counts = Counter(code for row in found for code in row["warnings"])
    assert {one["code"]: one["clips"] for one in job["result"]["warnings"]} == counts


class TestCorpusFromBeforeThem:
    """An import wrote no conditions then."""

    @pytest.fixture(autouse=True)
    def _older(self, corpus: Corpus, context: WorkerContext) -> None:
        (context.storage.corpus_dir(corpus.id) / CONDITIONS_NAME).unlink()

    def test_are_heard_in_its_recordings(
        self, client: TestClient, model: str, corpus: Corpus, context: WorkerContext
    ) -> None:
        found = rows(context, audited(client, request(model, corpus, attacks=[FGSM]))["id"])
        assert all(row["warnings"] == expected(row["clip"]) for row in found)

    def test_without_these_are_not_known(
        self, client: TestClient, model: str, corpus: Corpus, context: WorkerContext
    ) -> None:
        shutil.rmtree(context.storage.corpus_dir(corpus.id) / "audio")
        job = audited(client, request(model, corpus, attacks=[FGSM]))
        assert job["result"]["warnings"] is None
        assert {row["warnings"] for row in rows(context, job["id"])} == {None}
        lines = client.get(f"/v1/audits/{job['id']}/results?format=csv").text.splitlines()
        assert lines[0].split(",")[7] == "warnings"
        assert lines[1].split(",")[7] == "unknown"


def test_are_in_the_csv(client: TestClient, model: str, corpus: Corpus) -> None:
    job = audited(client, request(model, corpus, attacks=[FGSM]))
    lines = client.get(f"/v1/audits/{job['id']}/results?format=csv").text.splitlines()[1:]
    told = {line.split(",")[1]: line.split(",")[7] for line in lines}
    assert told == {clip: " ".join(expected(clip)) for clip in told}


def test_of_uploads_are_told_at_once_and_counted(client: TestClient, model: str) -> None:
    quiet = encode_wav(spoken.hum(600, 1) * QUIET, encoding="pcm16")
    assert decode(quiet).warnings == ()
    body: dict[str, Any] = {"model": model, "attacks": [FGSM]}
    answer = client.post(
        "/v1/audits",
        files=[("file", ("quiet.wav", quiet, "audio/wav"))],
        data={"request": json.dumps(body)},
    )
    job = done(client, answer.json()["id"])
    told = "'quiet.wav': the speech is quieter or louder than the model is meant for"
    assert told in answer.json()["warnings"]
    assert job["result"]["warnings"] == [{"code": "level", "clips": 1}]
