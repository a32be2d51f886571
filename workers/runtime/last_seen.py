"""Since when what the reconciler looks at again and again has not changed.

Time is counted on this process' own clock, as that for which it saw a sign stand still: so neither
a wrong clock elsewhere nor a machine that slept makes a job look dead.
"""

from collections.abc import Callable, Hashable, Mapping
from typing import Final

SILENT_SECONDS: Final = 8.0
"""Four heartbeats: after so long without one, nobody is at work any more."""
LOST_SECONDS: Final = 4.0
"""Between leaving the queue and being claimed, a job is nowhere to be seen, for a moment; and a
submission commits its row up to two seconds before it enqueues."""


class LastSeen:
    """What was seen of each row, by its id.

    Args:
        clock: of this process, in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._signs: dict[str, tuple[Hashable, float]] = {}
        self._missing: dict[str, float] = {}

    def update(self, signs: Mapping[str, Hashable]) -> None:
        """Remember a look at all rows; those that are gone are forgotten.

        Args:
            signs: of each row, what changes as long as somebody looks after it.
        """
        before, clock = self._signs, self._clock()
        self._signs = {}
        for name, sign in signs.items():
            known = before.get(name)
            self._signs[name] = known if known and known[0] == sign else (sign, clock)
        self._missing = {name: at for name, at in self._missing.items() if name in signs}

    def saw_nothing(self) -> None:
        """After a look that failed: who could not be seen was not silent, count from now on."""
        self._signs = {name: (sign, self._clock()) for name, (sign, _) in self._signs.items()}

    def silent_seconds(self, name: str) -> float:
        """For how long the row's sign has stood still."""
        return self._clock() - self._signs[name][1]

    def found(self, name: str) -> None:
        """The row's id is on the queue, or need not be there."""
        self._missing.pop(name, None)

    def is_lost(self, name: str) -> bool:
        """Whether the row's id, which should be on the queue and is not, was not there for
        `LOST_SECONDS`. Ask at every look."""
        clock = self._clock()
        return clock - self._missing.setdefault(name, clock) >= LOST_SECONDS
