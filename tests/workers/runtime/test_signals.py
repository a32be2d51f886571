"""Signals between a worker and its horse, and at the end of both."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from workers.runtime.signals import held_back


class TestProcesses:
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
            "from workers.runtime.signals import past_ending\n"
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


WAITS_FOR_A_LOCK = """
import os, signal, sqlite3, sys
from workers.runtime.signals import end_at_signals, leave_in_time_at_signals

end_at_signals()
leave_in_time_at_signals(0.5)
database = sqlite3.connect(sys.argv[1], timeout=60)
if sys.argv[2:] and os.fork() == 0:  # Python handles an alarm, and SIGTERM, as a horse would
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.raise_signal(signal.SIGTERM)
    os._exit(0)
elif sys.argv[2:]:
    os.wait()
print("waits", flush=True)
database.execute("BEGIN IMMEDIATE")
print("has the lock", flush=True)
"""


class TestAProcessThatHangsInC:
    """Python's handlers do not run before SQLite has stopped waiting for the lock."""

    @pytest.fixture
    def locked(self, tmp_path: Path) -> Iterator[Path]:
        path = tmp_path / "serval.db"
        holder = sqlite3.connect(path, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        yield path
        holder.close()

    def waiting(self, *arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", WAITS_FOR_A_LOCK, *arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline() == b"waits\n"
        time.sleep(0.2)  # until it waits indeed
        return process

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_leaves_in_time_with_status_0(self, locked: Path, number: signal.Signals) -> None:
        with self.waiting(str(locked)) as process:
            began = time.monotonic()
            process.send_signal(number)
            assert process.wait(30) == 0
            assert 0.5 <= time.monotonic() - began < 15

    def test_stays_when_only_its_child_is_told_to_end(self, locked: Path) -> None:
        with self.waiting(str(locked), "fork") as process:
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(1.5)
            process.kill()
