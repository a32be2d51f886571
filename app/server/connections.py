"""Who may be connected: a bound on all connections, and one on those of each peer's address.

A connection beyond a bound closes the one that has been idle longest: first those that never sent a
whole request, then those that rest between two. A client that only connects therefore shuts out
nobody but others of its kind. Where no connection is idle, a newcomer is accepted for probes alone.
"""

import ipaddress
import time
from collections import Counter
from collections.abc import Callable
from functools import lru_cache
from typing import Final, Protocol

import structlog

from app.access.loopback import is_loopback

log = structlog.get_logger("serval.server")

FOR_PROBES: Final = 16
"""Connections beyond the bound, where all others are busy: a probe must get through."""
WARN_SECONDS: Final = 60.0
"""Between two warnings of the log: whoever floods the service would otherwise flood its log."""


class Connection(Protocol):
    """What is counted."""

    def hang_up(self) -> None:
        """Close it. No request is under way on it."""


class Connections:
    """Counts the open connections and closes idle ones to make room. For the event loop alone.

    Args:
        most: connections at one time.
        most_of_an_address: of one peer's address, or of one /64 in IPv6, where a peer has that
            many addresses; 0 is no limit. This machine's own have none: they are a proxy's, as it
            may be, who speaks for everybody.
        now: a clock, in seconds.
    """

    def __init__(
        self, most: int, most_of_an_address: int, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._most = most
        self._most_of_an_address = most_of_an_address
        self._now = now
        self._peers: dict[Connection, str] = {}
        self._of_peer: Counter[str] = Counter()
        # The longest idle first: a dictionary keeps the order in which its keys came.
        self._silent: dict[Connection, None] = {}
        self._resting: dict[Connection, None] = {}
        self._warn_at = float("-inf")

    def __len__(self) -> int:
        return len(self._peers)

    def join(self, connection: Connection, address: str | None) -> bool:
        """Count a new connection, which has said nothing yet, and make room for it.

        Returns:
            Whether it may be used; if not, for probes alone, and it counts nevertheless.
        """
        peer = _peer(address)
        welcome = self._room_of(peer) and self._room()
        self._peers[connection] = peer
        self._of_peer[peer] += 1
        self._silent[connection] = None
        return welcome

    def busy(self, connection: Connection) -> None:
        """A whole head of a request has come."""
        self._not_idle(connection)

    def rests(self, connection: Connection) -> None:
        """Its request is answered, and no other one has come."""
        if connection in self._peers:
            self._not_idle(connection)
            self._resting[connection] = None

    def leave(self, connection: Connection) -> None:
        """Forget it: it is closed. Doing so twice is no error."""
        peer = self._peers.pop(connection, None)
        if peer is None:
            return
        self._not_idle(connection)
        self._of_peer[peer] -= 1
        if not self._of_peer[peer]:
            del self._of_peer[peer]

    @property
    def crowded(self) -> bool:
        """Whether there are more than even probes may have: a newcomer must be closed at once."""
        return len(self._peers) > self._most + FOR_PROBES

    def _room(self) -> bool:
        return len(self._peers) < self._most or self._close_one(None)

    def _room_of(self, peer: str) -> bool:
        most = self._most_of_an_address
        if not most or self._of_peer[peer] < most or is_loopback(peer):
            return True
        return self._close_one(peer)

    def _close_one(self, peer: str | None) -> bool:
        """Close the connection that is idle longest, of the peer if one is named.

        Returns:
            False where none is idle.
        """
        idle = next(
            (
                one
                for kind in (self._silent, self._resting)
                for one in kind
                if peer is None or self._peers[one] == peer
            ),
            None,
        )
        self._warn(peer, closed=idle is not None)
        if idle is None:
            return False
        self.leave(idle)
        idle.hang_up()
        return True

    def _warn(self, peer: str | None, *, closed: bool) -> None:
        if self._now() < self._warn_at:
            return
        self._warn_at = self._now() + WARN_SECONDS
        log.warning(
            "connections_full",
            setting="SERVAL_MAX_CONNECTIONS" if peer is None else "SERVAL_MAX_ADDRESS_CONNECTIONS",
            limit=self._most if peer is None else self._most_of_an_address,
            peer=peer,
            done="the longest idle one was closed" if closed else "the new one was refused",
        )

    def _not_idle(self, connection: Connection) -> None:
        self._silent.pop(connection, None)
        self._resting.pop(connection, None)


@lru_cache(maxsize=4096)
def _peer(address: str | None) -> str:
    """Whom an address counts for."""
    if address is None:  # a socket of this machine
        return "127.0.0.1"
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(ip, ipaddress.IPv4Address):
        return str(ip)
    if ip.ipv4_mapped is not None:
        return str(ip.ipv4_mapped)
    if ip.is_loopback:
        return str(ip)
    return str(ipaddress.ip_network((ip.packed[:8] + bytes(8), 64)))
