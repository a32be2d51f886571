"""Signals between a worker and its horse, and at the end of both."""

import os
import signal
import subprocess
import sys

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
