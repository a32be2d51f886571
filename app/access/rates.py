"""How often a key may ask. Counted in Redis, for all processes of the API together.

A request costs one round trip. While Redis is away or slow, each process counts by itself: a guard
must not take predictions down with the queue.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Final, Literal

import structlog
from limits import RateLimitItem, parse
from limits.aio.storage import RedisStorage
from limits.aio.strategies import FixedWindowRateLimiter as SharedLimiter
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter as LocalLimiter
from redis.asyncio import BlockingConnectionPool
from redis.exceptions import RedisError

from app.errors import TooMany
from app.settings import Settings

Activity = Literal["predict", "submit"]

log = structlog.get_logger("serval.rates")

ANSWER_SECONDS: Final = 0.25
"""How long Redis may take, the connection included. Usually it takes 0.2 ms."""
AWAY_SECONDS: Final = 5.0
"""How long Redis is left alone after it failed: a request in five seconds waits for it."""
CONNECTIONS: Final = 16
PREFIX: Final = "serval:rates"


class Rates:
    """The rate of each activity, for each key.

    Args:
        now: a clock, in seconds.
    """

    def __init__(self, settings: Settings, now: Callable[[], float] = time.monotonic) -> None:
        given = {"predict": settings.predict_rate, "submit": settings.submit_rate}
        self._items: dict[str, RateLimitItem] = {
            activity: parse(rate) for activity, rate in given.items() if rate
        }
        self._pool = BlockingConnectionPool.from_url(
            settings.redis_url, max_connections=CONNECTIONS
        )
        self._shared = SharedLimiter(
            RedisStorage(
                "async+redis://",  # the pool knows the address
                implementation="redispy",
                key_prefix=PREFIX,
                connection_pool=self._pool,  # type: ignore[arg-type]  # as its docstring has it
            )
        )
        self._local = LocalLimiter(MemoryStorage())
        self._now = now
        self._away_until: float | None = None

    async def take(self, activity: Activity, key_id: str) -> None:
        """Count one request.

        Raises:
            TooMany: the key has made as many as it may; says when the next may come.
        """
        item = self._items.get(activity)
        if item is None:
            return
        seconds = await self._seconds_to_wait(item, activity, key_id)
        if seconds is None:
            return
        raise TooMany(
            f"This key has made its {item.amount} {activity} requests per"
            f" {item.multiples} {item.GRANULARITY.name}.",
            code="rate_limited",
            retry_after=seconds,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.disconnect()

    async def _seconds_to_wait(self, item: RateLimitItem, *of: str) -> float | None:
        """Count one; until when there may be no other, or None if this one may be."""
        if self._away_until is not None:
            if self._now() < self._away_until:
                return self._wait_locally(item, *of)
            self._away_until = self._now() + AWAY_SECONDS  # one request asks, not all that wait
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                seconds = await self._wait(item, *of)
        except (RedisError, OSError) as error:  # of which a TimeoutError is one
            self._leave_alone(error)
            return self._wait_locally(item, *of)
        if self._away_until is not None:
            self._away_until = None
            log.info("rates_shared_again")
        return seconds

    async def _wait(self, item: RateLimitItem, *of: str) -> float | None:
        if await self._shared.hit(item, *of):
            return None
        return (await self._shared.get_window_stats(item, *of)).reset_time - time.time()

    def _wait_locally(self, item: RateLimitItem, *of: str) -> float | None:
        if self._local.hit(item, *of):
            return None
        return self._local.get_window_stats(item, *of).reset_time - time.time()

    def _leave_alone(self, error: Exception) -> None:
        if self._away_until is None:
            log.warning(
                "rates_counted_by_each_process",
                reason=f"Redis does not answer ({type(error).__name__}: {error})",
                setting="REDIS_URL",
            )
        self._away_until = self._now() + AWAY_SECONDS
