"""`docker kill` of each service in mid-job: every accepted job reaches its result."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import httpx

from tests.compose.checks import jobs
from tests.compose.checks.jobs import Made
from tests.compose.report import Failed, Report, until
from tests.compose.stack import LONG_RUNNING, Stack

LONG_AUDIT_STEPS = 40


def check(stack: Stack, report: Report, made: Made) -> None:
    with report.part("3. Each service killed in mid-job"):
        for service in LONG_RUNNING:
            report.check(
                f"{service} killed, an audit and a training under way",
                partial(_kill, stack, made, service),
            )


def start_jobs(stack: Stack, made: Made) -> list[str]:
    """An audit and a training that run."""
    with stack.client() as client:
        ids = [
            jobs.submit_audit(client, made.corpus, steps=LONG_AUDIT_STEPS),
            jobs.submit_training(client, made.corpus, iterations=80),
        ]
        until(lambda: all(jobs.running(client, one) for one in ids), 90, "both jobs run")
    return ids


def _kill(stack: Stack, made: Made, service: str) -> str:
    ids = start_jobs(stack, made)
    with predicting(stack) as tally:
        time.sleep(1)
        stack.kill(service)
        time.sleep(2)
        stack.start(service)
        until(lambda: stack.healthy(service), 120, f"{service} is healthy again")
    with stack.client() as client:
        ended = [jobs.wait_for(client, one) for one in ids]
    if service != "api" and tally.failed:
        raise Failed(f"{tally.failed} of {tally.asked} predictions failed: {tally.last}")
    attempts = ", ".join(f"{one['object']} on attempt {one['attempt']}" for one in ended)
    return f"both succeeded ({attempts}); {tally.failed} of {tally.asked} predictions failed"


class Tally:
    """Predictions asked for one after another, meanwhile."""

    asked = 0
    failed = 0
    last = ""


@contextmanager
def predicting(stack: Stack, *, through_proxy: bool = False, clients: int = 1) -> Iterator[Tally]:
    """Ask for predictions in other threads until the block ends."""
    tally = Tally()
    over = threading.Event()
    lock = threading.Lock()

    def ask() -> None:
        with stack.client(through_proxy=through_proxy, seconds=40) as client:
            while not over.wait(0.1):
                why = _why_not(client)
                with lock:
                    tally.asked += 1
                    if why is not None:
                        tally.failed += 1
                        tally.last = why

    threads = [threading.Thread(target=ask) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield tally
    finally:
        over.set()
        for thread in threads:
            thread.join()


def _why_not(client: httpx.Client) -> str | None:
    try:
        answer = jobs.predict(client)
    except httpx.HTTPError as error:
        return f"{type(error).__name__}: {error}"
    return None if answer.status_code == 200 else f"{answer.status_code} {answer.text[:200]}"
