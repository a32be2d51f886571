"""The workers' client: it waits while Redis is away or refuses everything, and says so."""

import socket
import threading
from contextlib import closing

import pytest
from redis import Redis
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    NoPermissionError,
    OutOfMemoryError,
    ResponseError,
)
from redis.exceptions import ConnectionError as RedisConnectionError

from workers.runtime import patience
from workers.runtime.patience import PatientRetry, patient_client


@pytest.fixture(autouse=True)
def _quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "LONGEST_PAUSE_SECONDS", 0.01)


class TestPatientRetry:
    @pytest.mark.parametrize(
        "refusal",
        [
            RedisConnectionError("Connection refused"),
            ResponseError("MISCONF Errors writing to the AOF file: No space left on device"),
            OutOfMemoryError("command not allowed", status_code="OOM"),
            BusyLoadingError("is loading the dataset", status_code="LOADING"),
            AuthenticationError("Authentication required.", status_code="NOAUTH"),
            NoPermissionError("User x has no permissions", status_code="NOPERM"),
        ],
    )
    def test_each_failure_is_told_and_the_command_repeated_until_it_is_done(
        self, refusal: Exception
    ) -> None:
        told: list[str] = []
        retry = PatientRetry(lambda error: told.append(str(error)), lambda: told.append("back"))
        answers = iter([refusal, refusal, "PONG"])

        def ask() -> object:
            answer = next(answers)
            if isinstance(answer, Exception):
                raise answer
            return answer

        assert retry.call_with_retry(ask, lambda _: None) == "PONG"
        assert told == [str(refusal), str(refusal), "back"]

    def test_a_connection_that_opens_within_a_command_does_not_count_as_back(self) -> None:
        told: list[str] = []
        retry = PatientRetry(lambda _: told.append("lost"), lambda: told.append("back"))
        refused = iter([True, False])

        def ask() -> str:
            retry.call_with_retry(lambda: "connected", lambda _: None)
            if next(refused):
                raise OutOfMemoryError("command not allowed", status_code="OOM")
            return "OK"

        assert retry.call_with_retry(ask, lambda _: None) == "OK"
        assert told == ["lost", "back"]


class TestPatientClient:
    def test_a_redis_that_is_full_is_waited_for(self, redis_url: str) -> None:
        with Redis.from_url(redis_url) as operator:
            operator.config_set("maxmemory", "1")
            told: list[str] = []

            def lost(error: Exception) -> None:
                told.append(type(error).__name__)
                operator.config_set("maxmemory", "0")

            try:
                with closing(patient_client(redis_url, lost=lost)) as redis:
                    assert redis.set("name", "value")
            finally:
                operator.config_set("maxmemory", "0")
        assert told == ["OutOfMemoryError"]

    def test_a_command_that_is_wrong_is_not_repeated(self, redis_url: str) -> None:
        with closing(patient_client(redis_url)) as redis:
            redis.set("text", "a")
            with pytest.raises(ResponseError, match="WRONGTYPE"):
                redis.lpush("text", "b")

    def test_one_that_does_not_listen_is_asked_again(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        asked = threading.Semaphore(0)

        def lost(_: Exception) -> None:
            asked.release()
            if asked._value > 2:
                raise InterruptedError  # as a signal does it

        with (
            closing(patient_client(f"redis://127.0.0.1:{port}/0", lost=lost)) as redis,
            pytest.raises(InterruptedError),
        ):
            redis.ping()
