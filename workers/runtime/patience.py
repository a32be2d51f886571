"""The workers' client of Redis: it outlives any outage, and says so once."""

from collections.abc import Callable
from typing import Any, Final, TypeVar

from redis import ConnectionPool, Redis
from redis.backoff import ExponentialBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from app.jobs.redis_errors import passes

T = TypeVar("T")
LONGEST_PAUSE_SECONDS: Final = 2.0


class PatientRetry(Retry):
    """Repeats each command until Redis does it: while it is away, and while it refuses everything.

    Args:
        lost: told of each failure.
        back: told when Redis does again what it is asked.
    """

    def __init__(self, lost: Callable[[Exception], None], back: Callable[[], None]) -> None:
        super().__init__(ExponentialBackoff(cap=LONGEST_PAUSE_SECONDS, base=0.05), -1)
        self._supported_errors = (RedisError, OSError)
        self._lost, self._back = lost, back
        self._depth = 0

    def __deepcopy__(self, memo: Any) -> "PatientRetry":
        """Shared by all connections, each of which copies its pool's."""
        return self

    def call_with_retry(
        self,
        do: Callable[[], T],
        fail: Callable[..., Any],
        is_retryable: Callable[[Exception], bool] | None = None,
        with_failure_count: bool = False,
    ) -> T:
        """What ``do`` returns, however long that takes. See `Retry`."""

        def patiently(error: Exception) -> bool:
            return passes(error) and (is_retryable is None or is_retryable(error))

        def failed(error: Exception, failures: int) -> None:
            self._lost(error)
            fail(*((error, failures) if with_failure_count else (error,)))

        self._depth += 1
        try:
            done = super().call_with_retry(do, failed, patiently, with_failure_count=True)
        finally:
            self._depth -= 1
        if self._depth == 0:  # not of a connection that is opened within a command
            self._back()
        return done


def patient_client(
    url: str,
    lost: Callable[[Exception], None] = lambda _: None,
    back: Callable[[], None] = lambda: None,
) -> Redis:
    """A client that outlives any outage: each command is repeated until Redis does it.

    Args:
        url: of Redis.
        lost: told of each failure.
        back: told when a command was done.
    """
    pool = ConnectionPool.from_url(
        url,
        socket_connect_timeout=5,
        socket_keepalive=True,
        health_check_interval=30,
        retry=PatientRetry(lost, back),
    )
    return Redis.from_pool(pool)
