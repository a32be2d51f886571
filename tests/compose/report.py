"""The lines of a run: one for each check, with its figure."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


class Failed(Exception):
    """A check's claim does not hold; the message has the figure or the fact against it."""


@dataclass
class Report:
    """Counts what held and what did not, and prints it as it comes."""

    passed: int = 0
    failed: int = 0
    failures: list[str] = field(default_factory=list)

    def say(self, text: str) -> None:
        """A line that is no check."""
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    def check(self, claim: str, look: Callable[[], str]) -> bool:
        """Whether ``look`` returns: it gives the figure, and raises if the claim does not hold."""
        began = time.monotonic()
        try:
            figure = look()
        except Exception as error:  # noqa: BLE001  (whatever breaks a check is its result)
            self.failed += 1
            why = " ".join(f"{error}".split()) or type(error).__name__
            self.failures.append(f"{claim}: {why}")
            self.say(f"  FAILED  {claim}: {why[:600]}")
            return False
        self.passed += 1
        self.say(f"  ok      {claim}: {figure} ({time.monotonic() - began:.1f} s)")
        return True

    @contextmanager
    def part(self, title: str) -> Iterator[None]:
        """A heading over checks. What breaks between them fails the part, and the next one runs."""
        self.say(title)
        try:
            yield
        except Exception as error:  # noqa: BLE001  (as above)
            self.failed += 1
            self.failures.append(f"{title}: {error}")
            self.say(
                f"  FAILED  {title}: {type(error).__name__}: {' '.join(str(error).split())[:600]}"
            )

    def end(self) -> int:
        """The closing line; gives the exit status."""
        self.say(f"{self.passed} passed, {self.failed} failed")
        return 1 if self.failed else 0


def until(look: Callable[[], object], seconds: float, what: str, every: float = 0.2) -> float:
    """Seconds until ``look`` gave something true.

    Raises:
        Failed: it did not within ``seconds``.
    """
    began = time.monotonic()
    while not look():
        if time.monotonic() - began > seconds:
            raise Failed(f"after {seconds:g} s still not: {what}")
        time.sleep(every)
    return time.monotonic() - began
