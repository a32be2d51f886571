"""How many cores are free for a lone clip, while other processes may be busy on this machine.

Cores that share the work on one clip wait for each other at each of its operations. If another
process has one of them, the kernel gives it to us in slices of milliseconds, and every operation
waits for that: two cores, one of them taken, are forty times slower than one that is free.
"""

import os
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

LOOK_SECONDS: Final = 0.25
"""Between two looks. The kernel counts hundredths of a second: a shorter time tells little."""
PROC_STAT: Final = Path("/proc/stat")
CGROUPS: Final = Path("/sys/fs/cgroup")
OLD: Final = "cpu.cfs_quota_us"
BUSY_COLUMNS: Final = (0, 1, 2, 5, 6, 7)
"""Of a core in /proc/stat: user, nice, system, irq, softirq, steal; the others are idle or none."""


class Look(NamedTuple):
    """What was seen at one moment, all in seconds since some beginning.

    Attributes:
        busy: of this process' cores together, whoever had them.
        own: of this process on all cores.
    """

    at: float
    busy: float
    own: float


class FreeCores:
    """Looks a few times a second at how busy others keep the cores that this process may use.

    `start` it, read `now`, `stop` it. Where there is no /proc, all cores count as free.

    Args:
        most: how many would be used.
        cores: that this process may run on.
        look: what is seen at a moment; None where that cannot be seen.
        quota: cores that this process' control group may use, over time.
    """

    def __init__(
        self,
        most: int,
        cores: int,
        look: Callable[[], Look | None],
        quota: float = float("inf"),
    ) -> None:
        self._look = look
        self._cores = cores
        self._most = max(1, int(min(most, quota)))
        self._last: Look | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="free-cores", daemon=True)
        self.now = self._most
        """How many cores a clip would have for itself, at least one."""

    def start(self) -> None:
        """Begin to look. With one core there is nothing to choose."""
        if self._most > 1 and self._look() is not None:
            self._thread.start()

    def stop(self) -> None:
        """Look no more."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def look(self) -> None:
        """Look once, and count anew."""
        last, seen = self._last, self._look()
        self._last = seen
        if last is None or seen is None or seen.at <= last.at:
            return
        others = (seen.busy - last.busy - (seen.own - last.own)) / (seen.at - last.at)
        # The half: a core of which others take a little is worth having.
        free = int(self._cores - others + 0.5)
        self.now = min(self._most, max(1, free))

    def _run(self) -> None:
        while not self._ended.wait(LOOK_SECONDS):
            self.look()


def free_cores(most: int) -> FreeCores:
    """Of this machine, for at most so many threads."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    return FreeCores(most, len(cores) or most, lambda: look_at(cores), cpu_quota())


def look_at(cores: Sequence[int], stat: Path = PROC_STAT) -> Look | None:
    """What the kernel has counted until now; None where it does not say."""
    try:
        lines = stat.read_text().splitlines()
    except OSError:
        return None
    wanted = {f"cpu{number}" for number in cores}
    busy = 0
    for name, *columns in (line.split() for line in lines if line.startswith("cpu")):
        if name in wanted:
            busy += sum(int(columns[place]) for place in BUSY_COLUMNS)
    return Look(time.monotonic(), busy / os.sysconf("SC_CLK_TCK"), time.process_time())


def cpu_quota(cgroups: Path = CGROUPS, own: Path = Path("/proc/self/cgroup")) -> float:
    """Cores that the control group of this process may use over time; infinite without a quota.

    A container sees its own group at the top of ``cgroups``; another process below it.
    """
    try:
        groups = [line.split(":", 2) for line in own.read_text().splitlines()]
    except OSError:
        groups = []
    found = [_quota(cgroups, "cpu.max")]
    for _, controllers, path in groups:
        if not controllers:
            found.append(_quota(cgroups / path.lstrip("/"), "cpu.max"))
        elif "cpu" in controllers.split(","):
            for top in (cgroups / "cpu", cgroups / controllers):
                found += [_quota(top, OLD), _quota(top / path.lstrip("/"), OLD)]
    return min(found)


def _quota(folder: Path, name: str) -> float:
    """Of version 2's file "QUOTA PERIOD", or of version 1's two files."""
    try:
        text = (folder / name).read_text()
        if name == OLD:
            text = f"{text} {(folder / 'cpu.cfs_period_us').read_text()}"
        quota, period = text.split()
        return float("inf") if quota in {"max", "-1"} else float(quota) / float(period)
    except (OSError, ValueError, ZeroDivisionError):
        return float("inf")
