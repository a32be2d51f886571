"""One inference thread that owns the device, and the line of requests that wait for it.

    event loop        line      inference thread                             event loop
    read the body  →   …   →    decode_request, batch, predict, unbatch  →   encode_response

The thread takes whatever is waiting for one model, without a wait for more: a lone clip starts at
once, and while a batch runs the next one gathers by itself. A request that was given up (its client
went away, its time ran out) is dropped. An exception fails the clips of its batch and nobody
else's.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Sequence

import structlog
import torch

from app.errors import ServalError, Unavailable
from app.predictions.line import Line, Outcome, Waiting
from app.predictions.scorer import THREADS, Result, Scored, Scorer, use_threads
from app.registry.loaded import LoadedModel
from models.audio import AudioError

log = structlog.get_logger("serval.predictions")

FAILURES_IN_A_ROW = 3
"""From then on it is not one batch: a GPU that fell into an error does not recover by itself."""
DRAIN_SECONDS = 10.0


class Engine:
    """`start` it in the event loop, `submit` clips, `stop` it.

    Args:
        scorer: does the work, in the inference thread.
        stuck_seconds: requests that take longer together make the service not ready.
        on_batch: is told the windows of each batch, in the inference thread.
    """

    def __init__(
        self,
        scorer: Scorer,
        *,
        stuck_seconds: float,
        on_batch: Callable[[int], None] = lambda _windows: None,
    ) -> None:
        self._scorer = scorer
        self._stuck_seconds = stuck_seconds
        self._on_batch = on_batch
        self._line = Line()
        self._ready = threading.Event()
        self._stopping = False
        self._fault: BaseException | None = None
        self._busy_since: float | None = None
        self._failures: list[str] = []

    def start(self) -> None:
        """Start the thread. Call it in the event loop that will submit."""
        self._loop = asyncio.get_running_loop()
        self._thread = threading.Thread(target=self._run, name="inference", daemon=True)
        self._thread.start()
        self._ready.wait()
        # From here on every other thread computes alone. Two threads with helpers of OpenMP's own
        # would be more than there are cores, at which it lets waiting helpers sleep instead of
        # spin: the network then takes a third longer.
        use_threads(1)

    def submit(self, model: LoadedModel, body: bytes) -> "asyncio.Future[Outcome]":
        """Start on a clip. Cancel the future to give it up.

        The future raises:
            AudioError: the audio is not accepted.
            ServalError: the network failed.
            Unavailable: the inference thread has died.

        Raises:
            Unavailable: the service is stopping, or the inference thread has died.
        """
        future: asyncio.Future[Outcome] = self._loop.create_future()
        if not self._line.put(Waiting(model, body, future)):
            raise self._down()
        return future

    def check(self) -> None:
        """Return if predictions work.

        Raises:
            Unavailable: saying why they do not.
        """
        if self._fault is not None or not self._thread.is_alive():
            raise self._down()
        busy_since, failures = self._busy_since, self._failures
        if busy_since is not None and time.monotonic() - busy_since > self._stuck_seconds:
            seconds = time.monotonic() - busy_since
            raise Unavailable(f"The inference thread has been at one batch for {seconds:.0f} s.")
        if len(failures) >= FAILURES_IN_A_ROW:
            raise Unavailable(f"The last {len(failures)} batches failed: {failures[-1]}.")

    def stop(self) -> None:
        """Finish what was submitted, then end the thread. Blocks."""
        self._stopping = True
        self._line.close()
        self._thread.join(DRAIN_SECONDS)
        self._scorer.close()

    def _down(self) -> Unavailable:
        if self._stopping:
            return Unavailable("The service is stopping. Send this again.", code="stopping")
        return Unavailable(
            f"The inference thread has died ({type(self._fault).__name__}). The service must be"
            " restarted.",
            code="inference_down",
            retry_after=10,
        )

    # In the inference thread

    def _run(self) -> None:
        use_threads(THREADS)
        self._ready.set()
        group: Sequence[Waiting] = ()
        try:
            while group := self._line.take(self._scorer.most_windows):
                self._serve(group)
        except BaseException as error:
            self._fault = error
            log.critical("the inference thread died", exc_info=True)
            self._line.close()
            while group:
                self._tell((request, self._down()) for request in group)
                group = self._line.take(len(group))

    def _serve(self, group: Sequence[Waiting]) -> None:
        self._busy_since = time.monotonic()
        try:
            for scored in self._scorer.score(group):
                self._note(scored)
                self._tell((request, _as_told(result)) for request, result in scored.results)
        except Exception as error:
            log.exception("scoring failed")
            self._tell((request, _as_told(error)) for request in group)
        finally:
            self._busy_since = None

    def _note(self, scored: Scored) -> None:
        if scored.error is not None:
            model = scored.results[0][0].model.id
            log.error("a batch failed", model=model, exc_info=scored.error)
            name = type(scored.error).__name__
            self._failures = [*self._failures[1 - FAILURES_IN_A_ROW :], name]
        elif scored.windows:
            self._failures = []
            self._on_batch(scored.windows)

    def _tell(self, results: Iterable[Result]) -> None:
        """Settle the futures in their loop, which is woken once for all of them."""
        with contextlib.suppress(RuntimeError):  # the loop was closed: nobody is listening
            self._loop.call_soon_threadsafe(_settle, list(results))


def _settle(results: Iterable[Result]) -> None:
    for request, result in results:
        if request.future.done():
            continue
        if isinstance(result, Outcome):
            request.future.set_result(result)
        else:
            request.future.set_exception(result)


def _as_told(result: Outcome | Exception) -> Outcome | Exception:
    """An error of ours as it is, any other as one that says as much as a client needs."""
    if isinstance(result, Outcome | AudioError | ServalError):
        return result
    if isinstance(result, torch.OutOfMemoryError):
        return Unavailable(
            "The device has no memory left for this batch. Send it again.", code="out_of_memory"
        )
    return ServalError(
        f"The network failed on this clip ({type(result).__name__}). It was logged.",
        code="inference_failed",
    )
