"""The queue of requests that wait to be scored, and the lanes that take them from it."""

import sys
import threading
import time
from asyncio import Future
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from app.registry.loaded import LoadedModel
from models.audio import AudioWarning, Channel


@dataclass(frozen=True)
class ClipScores:
    """What came out for one clip.

    Attributes:
        probabilities: in the order of the model's labels.
        windows: how many were scored and averaged.
        timings: milliseconds of "decode", "features", "queue" and "network", the detector's in it.
        adversarial_score: that the detector gives; None if the model has none.
    """

    probabilities: list[float]
    duration_s: float
    windows: int
    warnings: tuple[AudioWarning, ...]
    timings: dict[str, float]
    adversarial_score: float | None = None


@dataclass(eq=False)
class PendingRequest:
    """The bytes of a clip, and the future of its outcome. A cancelled future gives it up."""

    model: LoadedModel
    body: bytes
    future: "Future[ClipScores]"
    channel: Channel = "loudest"
    since: float = field(default_factory=time.perf_counter)


@dataclass(frozen=True, eq=False)
class MicroBatch:
    """What one lane works on.

    Attributes:
        requests: at least one, all for one model.
        alone: no other lane works meanwhile, so that all cores are for this one.
    """

    requests: list[PendingRequest]
    alone: bool


class RequestQueue:
    """Requests in the order of their arrival. Any thread puts in, each lane takes batches out.

    A lone request, with no other at work, is for the leading lane, which has all cores that other
    processes leave, if those are several. Otherwise
    the free lanes among the others divide what waits, a core for each. No lane waits for another,
    or for more to come, but none works beside the leading one.

    Args:
        most: requests in a batch.
        lanes: how many may work at one time. Of a single one all is the leading lane's; otherwise
            there are so many others.
        free: how many cores a lone request would have to itself now. The leading lane is for
            several: where other processes leave but one, a lane with one core is faster.
    """

    def __init__(
        self, most: int, lanes: int = 1, free: Callable[[], int] = lambda: sys.maxsize
    ) -> None:
        self._most = most
        self._lanes = lanes
        self._free = free
        self._requests: deque[PendingRequest] = deque()
        self._at_work: list[MicroBatch] = []
        self._closed = False
        lock = threading.Lock()
        self._for_the_leader = threading.Condition(lock)
        self._for_the_others = threading.Condition(lock)

    def put(self, request: PendingRequest) -> bool:
        """Join the end of the queue. False if it is closed."""
        with self._for_the_leader:
            if not self._closed:
                self._requests.append(request)
                self._wake()
            return not self._closed

    def take(self, *, leads: bool = True) -> MicroBatch | None:
        """Wait for a batch and take it; `done` gives it back.

        What was given up meanwhile is dropped.

        Args:
            leads: the caller is the leading lane.

        Returns:
            None when the queue is closed and empty.
        """
        changed = self._for_the_leader if leads else self._for_the_others
        with changed:
            while True:
                self._drop_given_up()
                if not self._requests and self._closed:
                    return None
                if self._requests:
                    if leads == self._is_for_the_leader():
                        return self._micro_batch(alone=leads)
                    self._wake()  # it was for this lane when this one was woken
                changed.wait()

    def done(self, batch: MicroBatch) -> None:
        """The lane has nothing more to do with this batch."""
        with self._for_the_leader:
            self._at_work.remove(batch)
            self._wake()

    def close(self) -> None:
        """Let nobody else join. Those in the queue are still taken."""
        with self._for_the_leader:
            self._closed = True
            self._for_the_leader.notify_all()
            self._for_the_others.notify_all()

    def clear(self) -> list[PendingRequest]:
        """Close it, and take all who are in it at once."""
        self.close()
        with self._for_the_leader:
            left, self._requests = list(self._requests), deque()
            return left

    def _wake(self) -> None:
        """The lanes that may take what is there now, and no other: it would be in the way."""
        self._drop_given_up()
        if self._closed and not self._requests:
            self._for_the_leader.notify()
            self._for_the_others.notify_all()
        elif self._requests and self._is_for_the_leader():
            self._for_the_leader.notify()
        elif self._requests:
            self._for_the_others.notify_all()

    def _drop_given_up(self) -> None:
        if any(request.future.cancelled() for request in self._requests):
            live = [request for request in self._requests if not request.future.cancelled()]
            self._requests = deque(live)

    def _is_for_the_leader(self) -> bool:
        """Whether all cores are at work on one batch, or should be."""
        if self._at_work:
            return self._at_work[0].alone
        return self._lanes == 1 or (len(self._requests) == 1 and self._free() > 1)

    def _micro_batch(self, *, alone: bool) -> MicroBatch:
        free = self._lanes - len(self._at_work)
        batch = MicroBatch(self._first(min(self._most, -(-len(self._requests) // free))), alone)
        self._at_work.append(batch)
        return batch

    def _first(self, most: int) -> list[PendingRequest]:
        group: list[PendingRequest] = []
        others: deque[PendingRequest] = deque()
        model = self._requests[0].model
        for request in self._requests:
            fits = request.model is model and len(group) < most
            (group if fits else others).append(request)
        self._requests = others
        return group
