"""Fixtures for the command line: a real server on a real port, with a worker beside it."""

import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import uvicorn
from fastapi import FastAPI
from sqlalchemy import select

from app.cli import main
from app.jobs.attempts import ALIVE
from app.jobs.queue import brief_client
from app.jobs.states import JobKind, JobStatus
from app.jobs.tables import Job
from app.settings import Settings
from app.studies import driving
from tests.app.corpora.zips import index, rows, wav
from workers.jobs import PERFORM
from workers.runtime import run
from workers.runtime.context import WorkerContext


@dataclass(frozen=True)
class Said:
    """How a command ended and what it printed."""

    status: int
    out: str
    err: str


Serval = Callable[..., Said]
Strings = tuple[str, ...]


@pytest.fixture
def serval(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> Serval:
    """`serval("corpus", "list")` runs the command line in this process."""
    for name in ("SERVAL_URL", "SERVAL_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SERVAL_DATA_DIR", str(settings.data_dir))
    monkeypatch.setenv("DATABASE_URL", settings.database_url)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(tempfile, "tempdir", tempfile.tempdir)  # `serve` sets it for its process
    monkeypatch.setattr(os, "umask", lambda _: 0)  # and this

    def serval(*arguments: object) -> Said:
        monkeypatch.setattr(sys, "argv", ["serval", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        out, err = capsys.readouterr()
        code = ended.value.code
        return Said(code if isinstance(code, int) else 0 if code is None else 1, out, err)

    return serval


@pytest.fixture
def url(app: FastAPI, starters: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a running service with the starters tiny-a and tiny-b."""
    server = uvicorn.Server(
        uvicorn.Config(app, port=0, log_config=None, ws="none", timeout_graceful_shutdown=1)
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    monkeypatch.setenv("SERVAL_URL", address)
    yield address
    server.should_exit = True
    thread.join()


@pytest.fixture
def worker(settings: Settings) -> Iterator[WorkerContext]:
    """Runs queued jobs in a thread of this process, without Redis."""
    redis = brief_client(settings.redis_url, timeout_seconds=2)
    place = WorkerContext.open(settings.model_copy(update={"torch_threads": 1}), redis)
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(0.05):
            with place.sessions() as session:
                queued = session.scalars(select(Job.id).where(Job.status == JobStatus.QUEUED)).all()
            for job_id in queued:
                run._run(place, PERFORM, job_id)
            with place.sessions() as session:
                studies = session.scalars(
                    select(Job.id).where(Job.kind == JobKind.STUDY, Job.status.in_(ALIVE))
                ).all()
            for study_id in studies:  # as the reconciler does
                driving.drive(place, study_id)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    yield place
    stop.set()
    thread.join()
    place.engine.dispose()
    place.queue.close()


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    """A folder with an index.csv and eight clips."""
    folder = tmp_path / "speech"
    record(folder, {"ann": "train", "bob": "train", "cid": "dev", "dan": "test"})
    (folder / "notes.txt").write_text("not uploaded")
    return folder


@pytest.fixture
def dialogues(tmp_path: Path) -> Path:
    """A folder whose partitions have two speakers each, as a study needs."""
    folder = tmp_path / "dialogues"
    splits = ("train", "train", "dev", "dev", "test", "test")
    record(folder, dict(zip("abcdef", splits, strict=True)))
    return folder


def record(folder: Path, splits: Mapping[str, str]) -> None:
    """Write the clips of these speakers and their index.csv."""
    listed = rows(splits)
    for seed, (path, *_) in enumerate(listed):
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(wav(seed))
    (folder / "index.csv").write_bytes(index(listed))


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    path = tmp_path / "clip.wav"
    path.write_bytes(wav())
    return path


@pytest.fixture
def corpus(serval: Serval, url: str, speech: Path) -> str:
    """The id of an uploaded corpus named "speech"."""
    return str(json.loads(serval("corpus", "add", speech, "--json").out)["id"])


@pytest.fixture
def audited(serval: Serval, worker: WorkerContext, url: str, clip: Path) -> str:
    """The id of an audit of one clip that has succeeded."""
    said = serval("audit", clip, "--model", "tiny-a", "--attack", "fgsm epsilon=5", "--json")
    assert said.status == 0, said.err
    return str(json.loads(said.out)["id"])
