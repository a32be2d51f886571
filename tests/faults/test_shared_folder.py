"""Two hosts with one folder, of which one sees a row before the folder that it tells of.

A file system of a network may show what another host has made only after seconds. Here each host is
a mount namespace, in which a part of the folder is covered by an empty one, and appears later.
"""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.jobs.states import JobStatus
from tests.faults.conftest import TINY
from tests.faults.stack import ROOT, Process, Stack, free_port
from tests.speechless import add_corpus

WAIT_SECONDS = 3.0
LATE_SECONDS = 1.0
PATIENCE = 240.0


class Host:
    """A process of the service in a mount namespace of its own."""

    def __init__(self, stack: Stack, name: str, *module: str, **env: str) -> None:
        self._stack = stack
        self._empty = stack.folder / "empty"
        self._empty.mkdir(exist_ok=True)
        self.process = Process(
            [
                *("unshare", "--mount", "--propagation", "private"),
                *(sys.executable, "-m", "tests.faults.with_tiny", *module),
            ],
            stack.env | {"SERVAL_SHARED_FOLDER_WAIT_SECONDS": f"{WAIT_SECONDS:g}", **env},
            stack.folder / f"{name}.log",
        )
        stack.processes.append(self.process)

    def hide(self, collection: str) -> None:
        """Let the folder look as if nothing had been put there yet."""
        self._inside("mount", "--bind", str(self._empty), str(self._folder(collection)))

    def see(self, collection: str) -> None:
        """Let what is there appear."""
        self._inside("umount", "--lazy", str(self._folder(collection)))

    def _folder(self, collection: str) -> Path:
        return self._stack.settings.data_dir / collection

    def _inside(self, *command: str) -> None:
        namespace = f"--mount=/proc/{self.process.pid}/ns/mnt"
        subprocess.run(["nsenter", namespace, *command], check=True, capture_output=True)


@pytest.fixture(scope="module")
def stack(request: pytest.FixtureRequest) -> Stack:
    """The service on the first host."""
    if os.geteuid() != 0 or shutil.which("unshare") is None or shutil.which("nsenter") is None:
        pytest.skip("hosts are mount namespaces: this needs root, unshare and nsenter")
    made = subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False)
    if made.returncode != 0:
        pytest.skip(f"no mount namespace can be made here: {made.stderr.decode().strip()}")
    stack: Stack = request.getfixturevalue("stack_on_postgresql")
    return stack


@pytest.fixture(scope="module")
def api(stack: Stack) -> Iterator[tuple[Host, httpx.Client]]:
    """Another host's API."""
    port = free_port()
    host = Host(stack, "api-of-another-host", "app.cli", "serve", SERVAL_PORT=str(port))
    stack.wait_for_api(port)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        yield host, client
    host.process.end()


@pytest.fixture(scope="module")
def worker(stack: Stack) -> Host:
    """Another host's worker, the only one for trainings."""
    stack.workers.pop().end()
    host = Host(stack, "worker-of-another-host", "workers", "trainings")
    stack.workers.append(host.process)
    stack.wait_for_worker(host.process)
    return host


@pytest.fixture
def hidden() -> Iterator[Callable[[Host, str], None]]:
    """`hidden(host, "models")`: until the end of the test, or `host.see("models")`."""
    covered: list[tuple[Host, str]] = []

    def hide(host: Host, collection: str) -> None:
        host.hide(collection)
        covered.append((host, collection))

    yield hide
    for host, collection in covered:
        try:
            host.see(collection)
        except subprocess.CalledProcessError:
            continue  # the test has


Hidden = Callable[[Host, str], None]


@pytest.fixture(scope="module")
def model(stack: Stack) -> str:
    """A model that the first host took in; gives the path of its weights."""
    starter = ROOT / "models" / "pretrained" / "cnn4-single-cremad"
    if not starter.is_dir():
        pytest.skip("models/pretrained holds no starter model to upload: make starter")
    names = {"weights": "model.safetensors", "config": "config.json"}
    files = {part: (name, (starter / name).read_bytes()) for part, name in names.items()}
    answer = stack.api.post("/v1/models", files=files)
    assert answer.status_code == 201, answer.text
    return f"/v1/models/{answer.json()['id']}/weights"


@pytest.fixture(scope="module")
def training(stack: Stack) -> dict[str, Any]:
    """Of a corpus that the first host took in."""
    with stack.sessions() as session:
        corpus = add_corpus(session, stack.storage)
    return {"corpus": corpus.id, **TINY, "iterations": 4}


class TestApi:
    def test_waits_for_files_that_it_does_not_see_yet(
        self, stack: Stack, api: tuple[Host, httpx.Client], model: str, hidden: Hidden
    ) -> None:
        host, client = api
        hidden(host, "models")
        began = time.monotonic()
        with ThreadPoolExecutor(1) as threads:
            asked = threads.submit(client.get, model)
            time.sleep(LATE_SECONDS)
            assert not asked.done()
            host.see("models")
            answer = asked.result()
        assert answer.status_code == 200
        assert time.monotonic() - began >= LATE_SECONDS
        assert answer.content == stack.api.get(model).content

    def test_says_so_when_they_do_not_come(
        self, api: tuple[Host, httpx.Client], model: str, hidden: Hidden
    ) -> None:
        host, client = api
        hidden(host, "models")
        began = time.monotonic()
        answer = client.get(model)
        assert time.monotonic() - began >= WAIT_SECONDS
        assert (answer.status_code, answer.json()["code"]) == (503, "files_not_visible")
        assert f"after {WAIT_SECONDS:g} s" in answer.json()["detail"]
        assert "SERVAL_DATA_DIR" in answer.json()["detail"]
        assert int(answer.headers["Retry-After"]) >= 1


class TestWorker:
    def test_waits_for_files_that_it_does_not_see_yet(
        self, stack: Stack, worker: Host, training: dict[str, Any], hidden: Hidden
    ) -> None:
        hidden(worker, "corpora")
        job_id = stack.submit(**training)
        stack.until_status(job_id, JobStatus.RUNNING, seconds=PATIENCE)
        time.sleep(LATE_SECONDS)
        worker.see("corpora")
        assert stack.until_status(job_id, JobStatus.SUCCEEDED, seconds=PATIENCE).attempt == 1

    def test_fails_the_job_and_says_so_when_they_do_not_come(
        self, stack: Stack, worker: Host, training: dict[str, Any], hidden: Hidden
    ) -> None:
        hidden(worker, "corpora")
        job_id = stack.submit(**training)
        error = stack.until_status(job_id, JobStatus.FAILED, seconds=PATIENCE).error
        assert error is not None
        assert error["code"] == "files_not_visible"
        assert f"corpora/{training['corpus']}" in error["message"]
        assert f"after {WAIT_SECONDS:g} s" in error["message"]
