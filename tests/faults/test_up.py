"""`serval up` with its real parts: one command starts them all, and one Ctrl-C ends them all."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from app.registry.starters import starters
from tests.app.corpora.zips import corpus_zip
from tests.faults.conftest import SMALL, Measure
from tests.faults.stack import ROOT, alive, free_port, until

START_SECONDS = 240.0  # far more than is needed, for machines that do other things too
SECOND_START_SECONDS = 15.0
PARTS = {"valkey", "api", "audits", "trainings", "reconciler"}


class Up:
    """`serval up` on a folder and a port, and what it says."""

    def __init__(self, folder: Path, port: int, *, cwd: Path = ROOT) -> None:
        given = {"SERVAL_DATA_DIR": str(folder), "SERVAL_PORT": str(port), "SERVAL_DEVICE": "cpu"}
        dropped = {"REDIS_URL", "DATABASE_URL", "SERVAL_REDIS_URL", "SERVAL_DATABASE_URL"}
        kept = {name: value for name, value in os.environ.items() if name not in dropped}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "app.cli", "up"],  # -P: as the script `serval` does
            cwd=cwd,
            env=kept
            | given
            | {
                "SERVAL_CHECKPOINT_SECONDS": "1",
                "OMP_NUM_THREADS": "1",
                "PYTHONPATH": str(ROOT),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.url = f"http://127.0.0.1:{port}"
        self.said = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.said += line

    def wait_until_ready(self) -> float:
        """Seconds from the start to the address on the terminal, as it counts them."""
        found = until(
            lambda: re.search(r"is ready after (\S+) s", self.said), START_SECONDS, "it is ready"
        )
        until(lambda: "Ctrl-C" in self.said, 10, "it invites to predict")
        return float(found[1])

    def wait_for_workers(self) -> None:
        until(lambda: len(self.processes()) >= len(PARTS), START_SECONDS, "all parts run")

    def processes(self) -> list[psutil.Process]:
        return psutil.Process(self._process.pid).children(recursive=True)

    def part(self, *words: str) -> psutil.Process:
        """The child whose command ends with these words."""
        mine = psutil.Process(self._process.pid).children()
        return next(one for one in mine if one.cmdline()[-len(words) :] == list(words))

    def ctrl_c(self) -> int:
        """The exit status."""
        self._process.send_signal(signal.SIGINT)
        return self._process.wait(150)

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("up") / "data"


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture
def up(folder: Path, port: int) -> Iterator[Up]:
    """A service that is ready; each test finds what the one before left in the folder."""
    up = Up(folder, port)
    try:
        up.wait_until_ready()
        up.wait_for_workers()
        yield up
    finally:
        up.close()


def submit(up: Up, **wanted: Any) -> str:
    """Queue a small training on a small corpus; gives its path."""
    with httpx.Client(base_url=up.url, timeout=120) as api:
        made = api.post(
            "/v1/corpora",
            files={"file": ("corpus.zip", corpus_zip())},
            data={"request": json.dumps({"name": "small"})},
        )
        assert made.status_code == 201, made.text
        request = SMALL | {"corpus": made.json()["id"]} | wanted
        queued = api.post("/v1/trainings", json=request)
        assert queued.status_code == 202, queued.text
        return str(queued.json()["urls"]["self"])


def job(up: Up, path: str) -> dict[str, Any]:
    found: dict[str, Any] = httpx.get(f"{up.url}{path}", timeout=30).json()
    return found


class TestAnyFolder:
    def test_modules_that_lie_in_the_current_folder_are_left_alone(self, tmp_path: Path) -> None:
        for name in ("app/__init__.py", "models/__init__.py", "workers/__init__.py", "torch.py"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(f"raise SystemExit('{name} is not ours')")
        up = Up(tmp_path / "data", free_port(), cwd=tmp_path)
        try:
            up.wait_until_ready()
            found = httpx.get(f"{up.url}/readyz", timeout=30).json()
            assert (found["status"], found["workers"]) == ("ready", {"audits": 1, "trainings": 1})
            assert up.ctrl_c() == 0, up.said
        finally:
            up.close()
        assert " died " not in up.said
        assert "starting it again" not in up.said
        for log in (tmp_path / "data" / "logs").glob("*.log"):
            assert "is not ours" not in log.read_text()


class TestUp:
    def test_the_printed_line_of_curl_works_as_it_stands(self, up: Up) -> None:
        (line,) = re.findall(r"^  (curl .*)$", up.said, re.MULTILINE)
        if not starters():
            pytest.skip("models/pretrained holds no starter model to predict with: make starter")
        if shutil.which("curl") is None:
            pytest.skip("curl is not installed")
        answer = subprocess.run(
            f"{line} --silent --show-error", shell=True, cwd=ROOT, capture_output=True, check=True
        )
        assert json.loads(answer.stdout)["object"] == "prediction", answer.stdout

    def test_a_training_is_done_by_its_worker(self, up: Up) -> None:
        path = submit(up, iterations=4)
        ended = until(
            lambda: (seen := job(up, path))["finished_at"] and seen, START_SECONDS, "it has ended"
        )
        assert ended["status"] == "succeeded", ended["error"]

    def test_each_part_that_is_killed_is_back(self, up: Up) -> None:
        parts = [
            ("app.cli", "serve"),
            ("workers", "audits"),
            ("workers", "trainings"),
            ("workers.runtime.reconcile",),
        ]
        for words in parts:
            pid = up.part(*words).pid
            os.kill(pid, signal.SIGKILL)
            until(partial(_other, up, words, pid), 10, f"{words} is back")
            assert not alive(pid)

        def ready() -> bool:
            try:
                return httpx.get(f"{up.url}/readyz", timeout=5).is_success
            except httpx.TransportError:
                return False

        until(ready, START_SECONDS, "the API is ready again")

    def test_ctrl_c_ends_them_all_and_the_job_is_put_down(self, up: Up, folder: Path) -> None:
        path = submit(up, iterations=100_000)
        until(lambda: job(up, path)["progress"]["done"] > 2, START_SECONDS, "it is under way")
        processes = up.processes()
        assert len(processes) > len(PARTS)  # the work-horse too
        assert up.ctrl_c() == 0, up.said
        assert [one for one in processes if alive(one.pid)] == []
        (folder / "path").write_text(path)

    def test_a_second_start_takes_15_seconds_and_the_job_goes_on(
        self, folder: Path, port: int, measure: Measure
    ) -> None:
        busy = os.getloadavg()[0] > 1.5 * (os.cpu_count() or 1)
        up = Up(folder, port)
        try:
            seconds = up.wait_until_ready()
            path = (folder / "path").read_text()
            until(lambda: job(up, path)["attempt"] == 2, START_SECONDS, "it goes on")
            httpx.post(f"{up.url}{path}/cancel", timeout=30).raise_for_status()
            assert up.ctrl_c() == 0, up.said
        finally:
            up.close()
        if busy:
            pytest.skip(f"the machine is busy with other work; the start took {seconds:.1f} s")
        measure("second `serval up` until ready, s", seconds, SECOND_START_SECONDS)

    def test_killed_itself_it_leaves_no_process(self, up: Up) -> None:
        processes = up.processes()
        up.close()
        until(lambda: not [one for one in processes if alive(one.pid)], 5, "all are gone")


def _other(up: Up, words: tuple[str, ...], pid: int) -> psutil.Process | None:
    try:
        found = up.part(*words)
    except (StopIteration, psutil.Error):
        return None
    return found if found.pid != pid else None
