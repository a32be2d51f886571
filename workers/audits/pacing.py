"""How far an audit is, in passes through the model: progress, time left, and when to stop."""

import time
from collections.abc import Callable

from models.audit.forecast import Speed
from models.victims import Cost
from workers.runtime.progress import Watchdog


class OutOfTime(Exception):
    """The audit has had its ``max_seconds``."""


class Pacing:
    """Told of every pass before it is made; ends the work between two.

    Args:
        reporter: of the job.
        expected: the most that the whole audit costs.
        speed: of a pass, to weigh the two kinds.
        max_seconds: after which :class:`OutOfTime` is raised; None for no limit.
        elapsed: seconds that earlier attempts have had of these.
        clock: replaced in tests.
    """

    def __init__(
        self,
        reporter: Watchdog,
        expected: Cost,
        speed: Speed,
        max_seconds: float | None,
        elapsed: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._reporter = reporter
        self._expected = expected
        self._speed = speed
        self._max_seconds = max_seconds
        self._clock = clock
        self._began = clock()
        self._elapsed = elapsed
        self._before = 0.0
        self.done = Cost()

    @property
    def seconds(self) -> float:
        """Since the beginning of the audit, times left out at which no attempt was running."""
        return self._elapsed + self._own_seconds

    @property
    def _own_seconds(self) -> float:
        return self._clock() - self._began

    def take_over(self, made: Cost) -> None:
        """An earlier attempt has made these passes."""
        self.done += made
        self._before += self._weight(made)
        self._tell()

    def __call__(self, forwards: int, backwards: int) -> None:
        """See :class:`models.victims.OnPass`.

        Raises:
            Stopped: the worker is to stop.
            OutOfTime: the audit has had its time.
        """
        self._reporter.check()
        if self._max_seconds is not None and self.seconds > self._max_seconds:
            raise OutOfTime
        self.done += Cost(forwards, backwards)
        self._tell()

    def finish(self, *, complete: bool) -> None:
        """Nothing more is scored: tell how far it came, as the last that is told.

        Args:
            complete: whether all is scored, perhaps with fewer passes than expected.
        """
        done = self._expected if complete else self.done
        self._reporter.progress(min(passes(done), self._total), self._total, "passes")

    def _tell(self) -> None:
        done = min(passes(self.done), self._total)
        self._reporter.progress(done, self._total, "passes", eta_seconds=self._left())

    @property
    def _total(self) -> int:
        return passes(self._expected)

    def _left(self) -> float | None:
        """By the pace of this attempt, once there is one."""
        now = self._weight(self.done)
        made = now - self._before
        if made <= 0 or self._own_seconds < 1.0:
            return None
        return max(0.0, (self._weight(self._expected) - now) * self._own_seconds / made)

    def _weight(self, cost: Cost) -> float:
        """Seconds that these passes would take: a pass there and back is several times as long."""
        only = cost.forwards - cost.backwards
        return only * self._speed.forward + cost.backwards * self._speed.gradient


def passes(cost: Cost) -> int:
    """Both kinds together, as progress counts them."""
    return cost.forwards + cost.backwards


class ShardPacing:
    """The same for a shard, whose job tells of the whole.

    Args:
        check: called before every pass; raises if the work is to be put down.
        over: whether the audit has had its time.
        tell: told of the passes that are made.
    """

    def __init__(
        self,
        check: Callable[[], None],
        over: Callable[[], bool],
        tell: Callable[[int], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._check = check
        self._over = over
        self._tell = tell
        self._clock = clock
        self._began = clock()
        self._done = Cost()

    @property
    def seconds(self) -> float:
        """Since the beginning of this attempt at the shard."""
        return self._clock() - self._began

    def take_over(self, made: Cost) -> None:
        """An earlier attempt has made these passes."""
        self._done += made
        self._tell(passes(self._done))

    def __call__(self, forwards: int, backwards: int) -> None:
        """See :class:`models.victims.OnPass`.

        Raises:
            Stopped: the worker is to stop.
            OutOfTime: the audit has had its time.
        """
        self._check()
        if self._over():
            raise OutOfTime
        self._done += Cost(forwards, backwards)
        self._tell(passes(self._done))
