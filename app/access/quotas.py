"""How much of what is scarce one key may have at a time: not all of it, or others could wait for
ever."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from app.access.owners import LOCAL
from app.errors import TooMany, Unavailable


class PerKeyQuota:
    """Counts how much of it each key has now. For the event loop alone."""

    def __init__(self) -> None:
        self._held: Counter[str] = Counter()

    @property
    def held(self) -> int:
        """By all together."""
        return self._held.total()

    def full(self, owner: str, share: int) -> bool:
        """Whether the owner has its share. On an open loopback there are no others to leave any."""
        return owner != LOCAL and self._held[owner] >= share

    @contextmanager
    def one(self, owner: str) -> Iterator[None]:
        """Give the owner one more, as long as it lasts."""
        self._held[owner] += 1
        try:
            yield
        finally:
            self._held[owner] -= 1
            self._held += Counter()  # forgets those who have none


class ConcurrencyLimit:
    """How many requests of a kind this process works on at one time, uploads included.

    A place is taken before the first byte is read, because what is read takes room already. It is
    given back at the latest when `app.http.body_timeout` loses patience with the client, or the
    work is done. A key may have half of them, so that its crawling uploads keep nobody else out.
    """

    def __init__(self, most: int, busy: str, *, code: str, retry_after: float) -> None:
        """
        Args:
            most: places.
            busy: what `most` of are under way, for the error: "corpora are being imported".
            code: of the error.
            retry_after: seconds after which it is worth to come again.
        """
        self.most = most
        self._share = max(1, most // 2)
        self._busy = busy
        self._code = code
        self._retry_after = retry_after
        self._taken = PerKeyQuota()

    @contextmanager
    def one(self, owner: str) -> Iterator[None]:
        """A place for that key, as long as it lasts.

        Raises:
            Unavailable: all are taken.
            TooMany: the key has its share of them.
        """
        if self._taken.held >= self.most:
            raise Unavailable(
                f"{self.most} {self._busy} already. Send this one again later.",
                code=self._code,
                retry_after=self._retry_after,
            )
        if self._taken.full(owner, self._share):
            raise TooMany(
                f"For this key {self._busy} already: it may have {self._share} of {self.most}"
                " places. Send this one again later.",
                code=self._code,
                retry_after=self._retry_after,
            )
        with self._taken.one(owner):
            yield
