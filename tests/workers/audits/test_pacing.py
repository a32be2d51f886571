"""How far an audit is: counted in passes, weighed by what they take, and ended in time."""

from typing import Any, cast

import pytest

from models.audit.forecast import Speed
from models.victims import Cost
from workers.audits.pacing import OutOfTime, Pacing
from workers.runtime.progress import Stopped, Watchdog

SPEED = Speed(forward=1.0, gradient=4.0)


class Told:
    """A watchdog that remembers what it is told."""

    def __init__(self, *, stop: bool = False) -> None:
        self.news: list[tuple[float, float | None, str | None, float | None]] = []
        self._stop = stop

    def check(self) -> None:
        if self._stop:
            raise Stopped

    def progress(
        self, done: float, total: float | None, unit: str | None, *, eta_seconds: Any = None
    ) -> None:
        self.news.append((done, total, unit, eta_seconds))


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def pacing(
    told: Told, clock: Clock, max_seconds: float | None = None, elapsed: float = 0.0
) -> Pacing:
    """Of an audit that costs 10 passes forwards and 5 of them back."""
    return Pacing(cast(Watchdog, told), Cost(10, 5), SPEED, max_seconds, elapsed, clock)


def test_passes_are_counted_both_ways() -> None:
    told, clock = Told(), Clock()
    paced = pacing(told, clock)
    paced(2, 0)
    paced(2, 2)
    assert [news[:3] for news in told.news] == [(2, 15, "passes"), (6, 15, "passes")]


def test_the_time_left_weighs_a_backward_pass_as_long_as_it_takes() -> None:
    told, clock = Told(), Clock()
    paced = pacing(told, clock)
    clock.now = 10.0
    paced(2, 2)  # 8 of 5 * 1 + 5 * 4 = 25 seconds of work took 10
    assert told.news[-1][3] == pytest.approx((25 - 8) * 10 / 8)


def test_the_pace_of_an_earlier_attempt_is_not_taken_for_this_ones() -> None:
    told, clock = Told(), Clock()
    paced = pacing(told, clock)
    paced.take_over(Cost(1, 1))
    paced.take_over(Cost(1, 1))
    assert told.news[-1:] == [(4, 15, "passes", None)]
    clock.now = 10.0
    paced(2, 2)
    assert told.news[-1][3] == pytest.approx((25 - 16) * 10 / 8)


def test_an_audit_that_is_out_of_time_ends_before_the_next_pass() -> None:
    told, clock = Told(), Clock()
    paced = pacing(told, clock, max_seconds=5.0)
    clock.now = 5.0
    paced(1, 0)
    clock.now = 5.1
    assert paced.done == Cost(1, 0)
    with pytest.raises(OutOfTime):
        paced(1, 0)


def test_the_time_of_earlier_attempts_counts() -> None:
    told, clock = Told(), Clock()
    paced = pacing(told, clock, max_seconds=5.0, elapsed=4.0)
    clock.now = 1.0
    assert paced.seconds == 5.0
    paced(1, 0)
    clock.now = 1.1
    with pytest.raises(OutOfTime):
        paced(1, 0)


def test_a_worker_that_is_to_stop_stops_before_the_next_pass() -> None:
    with pytest.raises(Stopped):
        pacing(Told(stop=True), Clock())(1, 1)


@pytest.mark.parametrize(("complete", "done"), [(True, 15), (False, 2)])
def test_the_end_is_all_of_it_even_if_less_was_needed_unless_time_was_over(
    complete: bool, done: int
) -> None:
    told = Told()
    paced = pacing(told, Clock())
    paced(2, 0)
    paced.finish(complete=complete)
    assert told.news[-1:] == [(done, 15, "passes", None)]
