"""Cancel: what is queued, what runs, and what is just about to finish. Cancelled or finished, never
both, and within a second."""

import random
import time
from collections.abc import Callable

from app.jobs.states import TERMINAL, JobStatus
from tests.faults.conftest import Measure
from tests.faults.stack import Stack, until

QUEUED, RUNNING, RACING = 20, 20, 20
PATIENCE = 240.0
FOR_HOURS = 90_000

Submit = Callable[..., str]


def cancel(stack: Stack, job_id: str) -> float:
    """Cancel the job, and wait until it has ended; gives the seconds that took."""
    asked = time.monotonic()
    assert stack.api.post(f"/v1/trainings/{job_id}/cancel").status_code == 200
    until(lambda: stack.status(job_id) in TERMINAL, 30, f"{job_id} has ended")
    return time.monotonic() - asked


def check_it_ended_once(stack: Stack, job_id: str) -> JobStatus:
    """One terminal event, and a model if and only if it succeeded."""
    status = stack.status(job_id)
    ends = [one.type for one in stack.events(job_id) if one.type in set(TERMINAL)]
    assert ends == [status]
    assert len(stack.models_of(job_id)) == (status is JobStatus.SUCCEEDED)
    return status


class TestCancel:
    def test_a_queued_job_is_cancelled_at_once(
        self, stack: Stack, submit: Submit, measure: Measure
    ) -> None:
        busy = [submit(iterations=FOR_HOURS) for _ in stack.workers]
        for job_id in busy:
            stack.until_status(job_id, JobStatus.RUNNING, seconds=PATIENCE)
        waiting = [submit(iterations=FOR_HOURS, seed=seed) for seed in range(QUEUED)]
        for job_id in waiting:
            asked = time.monotonic()
            answer = stack.api.post(f"/v1/trainings/{job_id}/cancel")
            measure("cancelled while queued, s", time.monotonic() - asked, 1.0)
            assert answer.json()["status"] == "cancelled"
        for job_id in busy:
            cancel(stack, job_id)
        later = submit(iterations=20)
        stack.until_status(later, JobStatus.SUCCEEDED, seconds=PATIENCE)
        assert {check_it_ended_once(stack, job_id) for job_id in waiting} == {JobStatus.CANCELLED}
        assert all(stack.row(job_id).attempt == 0 for job_id in waiting), "none was ever started"

    def test_a_running_job_is_cancelled_in_less_than_a_second(
        self, stack: Stack, submit: Submit, measure: Measure
    ) -> None:
        jobs = [submit(iterations=FOR_HOURS, seed=seed) for seed in range(RUNNING)]
        for number, job_id in enumerate(jobs):
            stack.until_status(job_id, JobStatus.RUNNING, seconds=PATIENCE)
            time.sleep(random.Random(number).uniform(0, 0.5))
            measure("cancelled while running, s", cancel(stack, job_id), 1.0)
            assert check_it_ended_once(stack, job_id) is JobStatus.CANCELLED

    def test_racing_with_the_finish_ends_in_one_of_the_two(
        self, stack: Stack, submit: Submit, measure: Measure
    ) -> None:
        probe = submit(iterations=20)
        stack.until_status(probe, JobStatus.SUCCEEDED, seconds=PATIENCE)
        (began,) = stack.events(probe, "running")
        (ended,) = stack.events(probe, "succeeded")
        takes = (ended.created_at - began.created_at).total_seconds()
        found = set()
        for number in range(RACING):
            job_id = submit(iterations=20, seed=number)
            stack.until_status(job_id, *TERMINAL, JobStatus.RUNNING, seconds=PATIENCE)
            time.sleep(takes)
            measure("cancelled at the finish, s", cancel(stack, job_id), 1.0)
            status = check_it_ended_once(stack, job_id)
            found.add(status)
            # Come closer to the finish each time: from the one side, or from the other.
            takes *= 1.25 if status is JobStatus.CANCELLED else 0.8
            cancel(stack, job_id)
            assert check_it_ended_once(stack, job_id) is status, "cancelling again changes nothing"
        assert found == {JobStatus.CANCELLED, JobStatus.SUCCEEDED}, "each has won the race"
