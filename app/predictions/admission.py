"""How many predictions may be under way at one time, and how many bytes they may hold."""

from app.errors import TooMany


class Admission:
    """Counts the requests between their headers and their answers. For the event loop alone.

    Args:
        most: requests.
        most_bytes: bytes of their bodies together.
    """

    def __init__(self, most: int, most_bytes: int) -> None:
        self._most = most
        self._most_bytes = most_bytes
        self.requests = 0
        self.bytes = 0

    def take(self, size: int) -> None:
        """Take a place for a request with a body of ``size`` bytes, before reading it.

        Raises:
            TooMany: there is no place, or no room for so many bytes.
        """
        if self.requests >= self._most or self.bytes + size > self._most_bytes:
            raise TooMany(
                f"{self.requests} clips are waiting already. Send this one again in a second.",
                code="queue_full",
            )
        self.requests += 1
        self.bytes += size

    def give_back(self, size: int) -> None:
        """The request is done."""
        self.requests -= 1
        self.bytes -= size
