"""Which connections are closed to make room, and which are refused."""

from collections.abc import Callable
from typing import Any

import pytest

from app.server.connections import FOR_PROBES, Connections


class Line:
    """A connection that remembers whether it was closed."""

    def __init__(self) -> None:
        self.closed = False

    def hang_up(self) -> None:
        self.closed = True


def joined(among: Connections, number: int, address: str | None = "192.0.2.1") -> list[Line]:
    lines = [Line() for _ in range(number)]
    for line in lines:
        assert among.join(line, address)
    return lines


def answered(among: Connections, number: int, address: str | None = "192.0.2.1") -> list[Line]:
    """Connections that have had an answer, and rest."""
    lines = joined(among, number, address)
    for line in lines:
        among.busy(line)
        among.rests(line)
    return lines


class TestAll:
    def test_the_longest_silent_one_makes_room(self) -> None:
        among = Connections(3, 0)
        resting = answered(among, 1)
        silent = joined(among, 2)
        joined(among, 1)
        assert [line.closed for line in (*resting, *silent)] == [False, True, False]
        assert len(among) == 3

    def test_then_the_one_that_rests_longest(self) -> None:
        among = Connections(2, 0)
        first, second = answered(among, 2)
        among.busy(first)
        among.rests(first)
        joined(among, 1)
        assert (first.closed, second.closed) == (False, True)

    def test_one_with_a_request_under_way_is_never_closed(self) -> None:
        among = Connections(2, 0)
        working = joined(among, 2)
        for line in working:
            among.busy(line)
        newcomer = Line()
        assert not among.join(newcomer, "192.0.2.9")
        assert not any(line.closed for line in (*working, newcomer))
        among.leave(working[0])
        among.leave(newcomer)
        joined(among, 1)

    def test_beyond_the_places_for_probes_it_is_crowded(self) -> None:
        among = Connections(1, 0)
        for _ in range(1 + FOR_PROBES):
            line = Line()
            among.join(line, None)
            among.busy(line)
        assert not among.crowded
        among.join(Line(), None)
        assert among.crowded

    def test_one_that_was_closed_may_leave_again(self) -> None:
        among = Connections(1, 0)
        (old,) = joined(among, 1)
        joined(among, 1)
        among.leave(old)
        among.rests(old)  # its answer came too late to matter
        assert len(among) == 1

    def test_the_log_says_so_once_a_minute(
        self, logged: Callable[[], list[dict[str, Any]]]
    ) -> None:
        seconds = 0.0
        among = Connections(1, 0, now=lambda: seconds)
        joined(among, 5)
        seconds = 61
        joined(among, 5)
        assert [(one["event"], one["limit"]) for one in logged()] == [("connections_full", 1)] * 2


class TestAnAddress:
    @pytest.mark.parametrize(
        "addresses",
        [
            ("192.0.2.1", "192.0.2.1", "192.0.2.1"),
            ("192.0.2.1", "::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8::1", "2001:db8::2", "2001:db8::ffff:1"),
        ],
    )
    def test_closes_its_own_longest_idle_one(self, addresses: tuple[str, ...]) -> None:
        among = Connections(100, 2)
        others = joined(among, 1, "198.51.100.7")
        first, second, third = (joined(among, 1, address)[0] for address in addresses)
        assert [line.closed for line in (*others, first, second, third)] == [
            False,
            True,
            False,
            False,
        ]

    def test_is_refused_while_all_its_own_are_busy(self) -> None:
        among = Connections(100, 1)
        joined(among, 1, "198.51.100.7")
        (own,) = joined(among, 1, "192.0.2.1")
        among.busy(own)
        assert not among.join(Line(), "192.0.2.1")

    @pytest.mark.parametrize("address", ["127.0.0.1", "::1", None])
    def test_this_machines_own_have_no_limit(self, address: str | None) -> None:
        among = Connections(100, 1)
        assert not any(line.closed for line in joined(among, 10, address))

    def test_zero_is_no_limit(self) -> None:
        among = Connections(100, 0)
        assert not any(line.closed for line in joined(among, 10))
