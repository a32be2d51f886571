"""The line of requests that wait for the inference thread."""

import threading
import time
from asyncio import Future
from collections import deque
from dataclasses import dataclass, field

from app.registry.loaded import LoadedModel


@dataclass(frozen=True)
class Outcome:
    """What came out for one clip.

    Attributes:
        probabilities: in the order of the model's labels.
        windows: how many were scored and averaged.
        timings: milliseconds of "decode", "features", "queue" and "network".
    """

    probabilities: list[float]
    duration_s: float
    windows: int
    warnings: tuple[str, ...]
    timings: dict[str, float]


@dataclass(eq=False)
class Waiting:
    """The bytes of a clip, and the future of its outcome. A cancelled future gives it up."""

    model: LoadedModel
    body: bytes
    future: "Future[Outcome]"
    since: float = field(default_factory=time.perf_counter)


class Line:
    """Requests in the order of their arrival. Any thread puts in, one takes out."""

    def __init__(self) -> None:
        self._requests: deque[Waiting] = deque()
        self._changed = threading.Condition()
        self._closed = False

    def put(self, request: Waiting) -> bool:
        """Join the end of the line. False if it is closed."""
        with self._changed:
            if not self._closed:
                self._requests.append(request)
                self._changed.notify()
            return not self._closed

    def take(self, most: int) -> list[Waiting]:
        """Wait for a request; take it, and up to ``most`` in all that are for the same model.

        What was given up meanwhile is dropped.

        Returns:
            At least one, or none when the line is closed and empty.
        """
        with self._changed:
            while True:
                live = [request for request in self._requests if not request.future.cancelled()]
                self._requests = deque(live)
                if live:
                    return self._first(most)
                if self._closed:
                    return []
                self._changed.wait()

    def _first(self, most: int) -> list[Waiting]:
        group: list[Waiting] = []
        others: deque[Waiting] = deque()
        model = self._requests[0].model
        for request in self._requests:
            fits = request.model is model and len(group) < most
            (group if fits else others).append(request)
        self._requests = others
        return group

    def close(self) -> None:
        """Let nobody else join. Those in the line are still taken."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
