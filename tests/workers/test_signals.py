"""Signals between a worker and its horse, and at the end of both."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from workers.signals import die_with, held_back


class TestProcesses:
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

    def test_a_signal_to_a_child_forked_meanwhile_waits_until_it_is_collected(self) -> None:
        with held_back(signal.SIGTERM):
            child = os.fork()
            if child == 0:
                got = signal.sigtimedwait([signal.SIGTERM], 30)
                os._exit(42 if got is not None else 1)
        os.kill(child, signal.SIGTERM)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 42
        assert signal.SIGTERM not in signal.pthread_sigmask(signal.SIG_BLOCK, ())

    def test_signals_while_the_interpreter_winds_up_do_not_kill(self) -> None:
        program = (
            "import atexit, os, signal\n"
            "from workers.signals import past_ending\n"
            # What runs last of all: the interpreter has given its handlers back by then.
            "class Late:\n"
            "    def __del__(self, kill=os.kill, me=os.getpid()):\n"
            "        kill(me, signal.SIGTERM)\n"
            "        kill(me, signal.SIGINT)\n"
            "signal.late = Late()\n"
            "signal.signal(signal.SIGTERM, lambda *_: None)\n"
            "past_ending()\n"
        )
        assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def alive(pid: int) -> bool:
    """Whether the process runs; one that waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
