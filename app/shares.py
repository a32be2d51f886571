"""How much of what is scarce one key may have at a time: not all of it, or others could wait for
ever."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from app.keys.ownership import LOCAL


class Shares:
    """Counts who has how much of it now. For the event loop alone."""

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
