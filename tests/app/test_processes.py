"""How our own processes are started, how one dies with its parent, and how it ended in words."""

import errno
import os
import signal
import subprocess
import sysconfig
import time
from pathlib import Path

import pytest

from app import processes
from app.processes import OURS, die_with, ending, python_command, python_environment
from app.settings import cannot_be_written


class TestPythonCommand:
    def test_modules_of_the_current_folder_are_not_imported_in_place_of_ours(
        self, tmp_path: Path
    ) -> None:
        for name in ("app/__init__.py", "models/__init__.py", "torch.py", "typer.py", "json.py"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(f"raise SystemExit('{name} is not ours')")
        done = subprocess.run(
            python_command("app.cli", "--version"),
            cwd=tmp_path,
            env=python_environment(os.environ),
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.stderr, done.returncode) == ("", 0)
        assert done.stdout.startswith("serval ")


class TestPythonEnvironment:
    def test_our_modules_are_found_before_others_and_the_current_folder_is_nowhere(self) -> None:
        given = {"PYTHONPATH": os.pathsep.join(["", "/one", str(OURS), "", "/two"]), "HOME": "/me"}
        assert python_environment(given) == {
            "PYTHONPATH": os.pathsep.join([str(OURS), "/one", "/two"]),
            "HOME": "/me",
        }

    def test_what_is_installed_comes_in_its_usual_place(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """In front of it all, site-packages could hide a module of the standard library."""
        monkeypatch.setattr(sysconfig, "get_path", lambda _: str(OURS))
        assert python_environment({"PYTHONPATH": "/one"}) == {"PYTHONPATH": "/one"}


class TestDieWith:
    def test_a_child_dies_with_its_parent(self) -> None:
        read, write = os.pipe()
        parent = os.fork()
        if parent == 0:
            me = os.getpid()
            if os.fork() == 0:
                die_with(me)
                os.write(write, str(os.getpid()).encode())
                time.sleep(60)
            time.sleep(60)
        child = int(os.read(read, 20))
        os.kill(parent, signal.SIGKILL)
        os.waitpid(parent, 0)
        until = time.monotonic() + 10
        while alive(child):
            assert time.monotonic() < until
            time.sleep(0.01)

    def test_a_child_whose_parent_is_gone_already_ends(self) -> None:
        child = os.fork()
        if child == 0:
            die_with(parent=1 if os.getppid() != 1 else 2)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 1


class TestEnding:
    @pytest.mark.parametrize(
        ("code", "words"),
        [
            (0, "ended with status 0"),
            (1, "ended with status 1"),
            (-signal.SIGKILL, "was killed by SIGKILL"),
        ],
    )
    def test_an_exit_code_is_said_in_words(self, code: int, words: str) -> None:
        assert ending(code) == words


def alive(pid: int) -> bool:
    """Whether the process runs; one that waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


class TestCommandsInHints:
    def test_a_hint_names_the_command_that_works_where_the_process_runs(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        here = processes.serval_command("keys create")
        monkeypatch.setattr(processes, "OURS", processes.IMAGE)
        there = processes.serval_command("keys create")
        assert (here, there) == (
            "serval keys create",
            "docker compose run --rm api keys create",
        )

    def test_in_the_image_a_folder_is_given_to_its_user(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(processes, "OURS", processes.IMAGE)
        monkeypatch.setattr(os, "getuid", lambda: 10001)
        monkeypatch.setattr(os, "getgid", lambda: 10001)
        denied = PermissionError(errno.EACCES, "Permission denied")
        assert cannot_be_written(Path("/data"), denied) == (
            "SERVAL_DATA_DIR is '/data', which cannot be written (Permission denied): give what is"
            " mounted there to this user: chown 10001:10001."
        )


class TestPrivacy:
    def test_what_a_process_of_the_service_writes_nobody_else_reads(self, tmp_path: Path) -> None:
        env = {name: text for name, text in os.environ.items() if name != "DATABASE_URL"}
        env |= {"SERVAL_DATA_DIR": str(tmp_path / "data")}
        command = ["sh", "-c", 'umask 022; exec "$@"', "sh"]
        command += python_command("app.cli", "migrate")
        subprocess.run(command, env=python_environment(env), check=True, capture_output=True)
        modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.rglob("*")}
        assert modes == {"data": 0o700, "serval.db": 0o600}
