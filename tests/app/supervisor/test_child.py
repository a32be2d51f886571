"""One process of the supervisor's."""

import os
import sys
import time
from pathlib import Path

import psutil

from app.supervisor.child import AUTOGROUP, Child

SECONDS = 30.0


def child(folder: Path, code: str, *, niceness: int = 0, stop_seconds: float = SECONDS) -> Child:
    command = (sys.executable, "-c", code)
    return Child("part", command, dict(os.environ), folder / "part.log", stop_seconds, niceness)


def wait_until_it_says(one: Child, text: str) -> None:
    until = time.monotonic() + SECONDS
    while text not in one.tail():
        assert time.monotonic() < until, one.tail()
        time.sleep(0.02)


class TestChild:
    def test_what_it_says_is_in_its_log(self, tmp_path: Path) -> None:
        one = child(tmp_path, "print('hello')")
        one.start()
        assert one.wait_for_end()
        assert one.tail() == "hello"

    def test_a_child_is_a_session_of_its_own_so_that_ctrl_c_does_not_reach_it(
        self, tmp_path: Path
    ) -> None:
        one = child(tmp_path, "import time; print('up', flush=True); time.sleep(60)")
        one.start()
        wait_until_it_says(one, "up")
        assert one.pid is not None
        assert os.getsid(one.pid) == one.pid
        one.ask_to_end()
        assert one.wait_for_end()
        assert not one.running

    def test_a_nice_one_lets_others_go_first(self, tmp_path: Path) -> None:
        code = (
            "import pathlib, time; path = pathlib.Path('/proc/self/autogroup');"
            "print('group', path.read_text() if path.exists() else '', flush=True); time.sleep(60)"
        )
        one = child(tmp_path, code, niceness=5)
        one.start()
        wait_until_it_says(one, "group")
        assert psutil.Process(one.pid).nice() == os.nice(0) + 5
        if AUTOGROUP.exists():
            assert one.tail().endswith("nice 5")
        one.kill()
        one.wait_for_end()

    def test_one_that_does_not_end_is_killed(self, tmp_path: Path) -> None:
        code = (
            "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
            "print('deaf', flush=True); time.sleep(60)"
        )
        one = child(tmp_path, code, stop_seconds=0.5)
        one.start()
        wait_until_it_says(one, "deaf")
        one.ask_to_end()
        assert not one.wait_for_end()
        assert not one.running

    def test_one_that_died_is_started_again_after_a_pause(self, tmp_path: Path) -> None:
        one = child(tmp_path, "print('up', flush=True); import sys; sys.exit(3)")
        one.start()
        said: list[str] = []
        until = time.monotonic() + SECONDS
        while len(said) < 2 and time.monotonic() < until:
            said += [told] if (told := one.revive()) else []
            time.sleep(0.02)
        assert said == [
            "part ended with status 3; starting it again in 0.5 s",
            "part ended with status 3; starting it again in 1 s",
        ]
        assert one.tail() == "up\nup"
        one.ask_to_end()
        time.sleep(1.1)
        assert one.revive() is None
        assert not one.running

    def test_one_that_cannot_be_started_for_now_is_tried_again_later(self, tmp_path: Path) -> None:
        one = child(tmp_path, "pass")
        one.start()
        until = time.monotonic() + SECONDS
        while not one.revive():
            assert time.monotonic() < until
            time.sleep(0.02)
        one.log.unlink()
        one.log.mkdir()  # as good as a full disk
        while not (said := one.revive()):
            assert time.monotonic() < until
            time.sleep(0.02)
        assert "cannot be started" in said
        assert "again in 30 s" in said
