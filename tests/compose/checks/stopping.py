"""SIGTERM of each service under load: it ends by itself, soon, and loses nothing accepted."""

import time
from functools import partial

from tests.compose.checks import jobs, kills
from tests.compose.checks.jobs import Made
from tests.compose.report import Failed, Report, until
from tests.compose.stack import LONG_RUNNING, Stack

STOP_SECONDS = 15.0


def check(stack: Stack, report: Report, made: Made) -> None:
    with report.part(f"5. SIGTERM under load (bar {STOP_SECONDS:g} s)"):
        for service in LONG_RUNNING:
            report.check(f"{service} stopped", partial(_stop, stack, made, service))


def _stop(stack: Stack, made: Made, service: str) -> str:
    ids = kills.start_jobs(stack, made)
    with kills.predicting(stack) as tally:
        time.sleep(1)
        began = time.monotonic()
        stack.compose("stop", "--timeout", "60", service)
        seconds = time.monotonic() - began
    status = stack.inspect(service)["State"]["ExitCode"]
    stack.start(service)
    until(lambda: stack.healthy(service), 120, f"{service} is healthy again")
    with stack.client() as client:
        for one in ids:
            jobs.wait_for(client, one)
    if status != 0:
        raise Failed(f"it ended with status {status} after {seconds:.1f} s")
    if seconds > STOP_SECONDS:
        raise Failed(f"it took {seconds:.1f} s")
    if service != "api" and tally.failed:
        raise Failed(f"{tally.failed} predictions failed: {tally.last}")
    return f"exit 0 after {seconds:.1f} s; both jobs succeeded"
