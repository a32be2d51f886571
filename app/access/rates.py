"""How often a key may ask. Counted in this process' memory: cheap, and good enough for a guard."""

import time
from typing import Literal

from limits import RateLimitItem, parse
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from app.errors import TooMany
from app.settings import Settings

Activity = Literal["predict", "submit"]


class Rates:
    """The rate of each activity, for each key."""

    def __init__(self, settings: Settings) -> None:
        given = {"predict": settings.predict_rate, "submit": settings.submit_rate}
        self._items: dict[str, RateLimitItem] = {
            activity: parse(rate) for activity, rate in given.items() if rate
        }
        self._limiter = FixedWindowRateLimiter(MemoryStorage())

    def take(self, activity: Activity, key_id: str) -> None:
        """Count one request.

        Raises:
            TooMany: the key has made as many as it may; says when the next may come.
        """
        item = self._items.get(activity)
        if item is None or self._limiter.hit(item, activity, key_id):
            return
        reset = self._limiter.get_window_stats(item, activity, key_id).reset_time
        raise TooMany(
            f"This key has made its {item.amount} {activity} requests per"
            f" {item.multiples} {item.GRANULARITY.name}.",
            code="rate_limited",
            retry_after=reset - time.time(),
        )
