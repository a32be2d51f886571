"""A process that dies with its parent, and how one ended in words."""

import os
import signal
import time
from pathlib import Path

import pytest

from app.processes import die_with, ending


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
    def test_it_is_said_in_words(self, code: int, words: str) -> None:
        assert ending(code) == words


def alive(pid: int) -> bool:
    """Whether the process runs; one that waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
