"""Inference lanes, threads that own the device, and the queue of requests that wait for them.

    event loop        queue     inference lanes                              event loop
    read the body  →   …   →    decode_request, batch, predict, unbatch  →   encode_response

A lane takes what is waiting for one model, without a wait for more: a lone clip starts at once, and
while lanes are busy the next batch gathers by itself. A request that was given up (its client went
away, its time ran out) is dropped. An exception fails the clips of its batch and nobody else's.

On a CPU each core is a lane with a few clips at a time: cores that share a batch wait for each
other at every operation, and all take turns in one cache. A lone clip has all cores, in a lane of
its own that leads; of those that other processes leave free, and if that is one, it goes through a
usual lane (`app.predictions.cores`). A GPU has the leading lane alone.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Sequence

import structlog
import torch

from app.errors import ServalError, Unavailable
from app.predictions.cores import FreeCores
from app.predictions.request_queue import ClipScores, MicroBatch, PendingRequest, RequestQueue
from app.predictions.scorer import THREADS, Result, Scored, Scorer, change_threads, use_threads
from app.registry.loaded import LoadedModel
from models.audio import AudioError, Channel

log = structlog.get_logger("serval.predictions")

FAILURES_IN_A_ROW = 3
"""From then on it is not one batch: a GPU that fell into an error does not recover by itself."""
DRAIN_SECONDS = 5.0
"""Of clips that were submitted, at the end. The server has waited for their requests before."""
LEADER = 0
"""The lane that has all cores for a lone clip: OpenMP's threads belong to the one that calls."""


class Engine:
    """`start` it in the event loop, `submit` clips, `stop` it.

    Args:
        scorer: does the work, in the lanes.
        lanes: how many work at one time.
        most_clips: that a lane takes at one time.
        cores: how many are free for a lone clip; all lanes' without it.
        stuck_seconds: a lane that takes longer for a batch makes the service not ready.
        on_batch: is told the windows of each batch, in the event loop.
    """

    def __init__(
        self,
        scorer: Scorer,
        *,
        lanes: int,
        most_clips: int,
        stuck_seconds: float,
        cores: FreeCores | None = None,
        on_batch: Callable[[int], None] = lambda _windows: None,
    ) -> None:
        self._scorer = scorer
        self._stuck_seconds = stuck_seconds
        self._on_batch = on_batch
        self._cores = cores
        self._queue = RequestQueue(most_clips, lanes, self._free)
        self._threads = [
            threading.Thread(target=self._run, args=(lane,), name=f"inference-{lane}", daemon=True)
            for lane in range(1 if lanes == 1 else 1 + lanes)
        ]
        self._prepared = threading.Barrier(1 + len(self._threads))  # passed when all have cores
        self._busy_since: list[float | None] = [None] * len(self._threads)
        self._stopping = False
        self._fault: BaseException | None = None
        self._failures: list[str] = []
        self._noting = threading.Lock()

    def start(self) -> None:
        """Start the lanes. Call it in the event loop that will submit."""
        self._loop = asyncio.get_running_loop()
        for thread in self._threads:
            thread.start()
        self._prepared.wait()
        # Every thread but the leading lane computes with one core, also those that start later:
        # torch gives them what was chosen last, here. A second thread with helpers of OpenMP's own
        # would make them more than there are cores, at which it lets waiting helpers sleep instead
        # of spin, as long as the process lives: a lone clip then takes half as long again.
        use_threads(1)
        if self._cores is not None:
            self._cores.start()

    def submit(
        self, model: LoadedModel, body: bytes, channel: Channel = "loudest"
    ) -> "asyncio.Future[ClipScores]":
        """Start on a clip. Cancel the future to give it up.

        The future raises:
            AudioError: the audio is not accepted.
            ServalError: the network failed.
            Unavailable: an inference lane has died.

        Raises:
            Unavailable: the service is stopping, or an inference lane has died.
        """
        future: asyncio.Future[ClipScores] = self._loop.create_future()
        if not self._queue.put(PendingRequest(model, body, future, channel)):
            raise self._down()
        return future

    def check(self) -> None:
        """Return if predictions work.

        Raises:
            Unavailable: saying why they do not.
        """
        if self._fault is not None or not all(thread.is_alive() for thread in self._threads):
            raise self._down()
        now = time.monotonic()
        longest = max(now - (since or now) for since in self._busy_since)
        if longest > self._stuck_seconds:
            raise Unavailable(f"An inference lane has been at one batch for {longest:.0f} s.")
        failures = self._failures
        if len(failures) >= FAILURES_IN_A_ROW:
            raise Unavailable(f"The last {len(failures)} batches failed: {failures[-1]}.")

    def stop(self) -> None:
        """Finish what was submitted, then end the lanes. Blocks."""
        self._stopping = True
        self._queue.close()
        until = time.monotonic() + DRAIN_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        self._scorer.close()
        if self._cores is not None:
            self._cores.stop()

    def _down(self) -> Unavailable:
        if self._stopping:
            return Unavailable("The service is stopping. Send this again.", code="stopping")
        return Unavailable(
            f"An inference lane has died ({type(self._fault).__name__}). The service must be"
            " restarted.",
            code="inference_down",
            retry_after=10,
        )

    def _free(self) -> int:
        return THREADS if self._cores is None else self._cores.now

    # In a lane

    def _run(self, lane: int) -> None:
        batch: MicroBatch | None = None
        threads = THREADS if lane == LEADER else 1
        use_threads(threads)
        self._prepared.wait()
        try:
            while batch := self._queue.take(leads=lane == LEADER):
                self._busy_since[lane] = time.monotonic()
                if lane == LEADER and self._cores is not None:
                    threads = self._with_threads(threads, max(2, self._cores.now))
                self._serve(batch.requests)
                self._busy_since[lane] = None
                self._queue.done(batch)
        except BaseException as error:
            self._fault = error
            log.critical("an inference lane died", exc_info=True)
            requests = self._queue.clear() + (batch.requests if batch else [])
            self._tell((request, self._down()) for request in requests)

    def _with_threads(self, present: int, wanted: int) -> int:
        """Give this lane so many threads, if it has another number now."""
        if wanted != present:
            change_threads(wanted)
        return wanted

    def _serve(self, requests: Sequence[PendingRequest]) -> None:
        try:
            for scored in self._scorer.score(requests):
                if scored.error is not None:
                    self._note_failure(scored, scored.error)
                elif scored.windows:
                    self._failures = []
                results = ((request, _for_the_client(result)) for request, result in scored.results)
                self._tell(results, scored.windows)
        except Exception as error:
            log.exception("scoring failed")
            self._tell((request, _for_the_client(error)) for request in requests)

    def _note_failure(self, scored: Scored, error: Exception) -> None:
        model = scored.results[0][0].model.id
        log.error("a batch failed", model=model, exc_info=error)
        with self._noting:
            self._failures = [*self._failures[1 - FAILURES_IN_A_ROW :], type(error).__name__]

    def _tell(self, results: Iterable[Result], windows: int = 0) -> None:
        """Settle the futures in their loop, which is woken once for all of them."""
        with contextlib.suppress(RuntimeError):  # the loop was closed: nobody is listening
            self._loop.call_soon_threadsafe(self._settle, list(results), windows)

    # In the event loop again

    def _settle(self, results: Iterable[Result], windows: int) -> None:
        for request, result in results:
            if request.future.done():
                continue
            if isinstance(result, ClipScores):
                request.future.set_result(result)
            else:
                request.future.set_exception(result)
        if windows:
            self._loop.call_soon(self._on_batch, windows)  # after the answers have gone


def _for_the_client(result: ClipScores | Exception) -> ClipScores | Exception:
    """An error of ours as it is, any other as one that says as much as a client needs."""
    if isinstance(result, ClipScores | AudioError | ServalError):
        return result
    if isinstance(result, torch.OutOfMemoryError):
        return Unavailable(
            "The device has no memory left for this batch. Send it again.", code="out_of_memory"
        )
    return ServalError(
        f"The network failed on this clip ({type(result).__name__}). It was logged.",
        code="inference_failed",
    )
