"""From requests to outcomes, and which of their clips go through the network together."""

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import torch

from app.predictions import hooks
from app.predictions.hooks import Clip
from app.predictions.request_queue import ClipScores, PendingRequest

THREADS = torch.get_num_threads()
"""Of the network's work; read before `use_threads` changes it for other threads."""
WINDOWS_A_CORE = 4
"""At one time. Fewer read the weights too often; more fall out of its caches."""

Decoded = tuple[PendingRequest, Clip]
Result = tuple[PendingRequest, ClipScores | Exception]


@dataclass(frozen=True)
class Scored:
    """What came of some of the requests.

    Attributes:
        results: an outcome for each, or why there is none.
        windows: that went through the network; 0 if these clips never came so far.
        error: what the network failed with.
    """

    results: list[Result]
    windows: int = 0
    error: Exception | None = None


class Scorer:
    """Decodes and scores. Any thread may call it.

    Args:
        device: where the networks are.
        limits: what one clip may be.
        most_windows: that go through a network at one time.
    """

    def __init__(self, device: torch.device, limits: hooks.Limits, most_windows: int) -> None:
        self._device = device
        self._limits = limits
        self._most_windows = most_windows
        # On a CPU the threads that score are as many as its cores already.
        self._decoders = None if device.type == "cpu" else ThreadPoolExecutor(THREADS, "decoder")

    def close(self) -> None:
        """End the threads that decode."""
        if self._decoders is not None:
            self._decoders.shutdown(wait=False)

    def score(self, group: Sequence[PendingRequest]) -> Iterator[Scored]:
        """Score requests for one model; each part of the results as soon as it is there."""
        began = time.perf_counter()
        decoded = list(zip(group, self._decode_all(group), strict=True))
        seconds = time.perf_counter() - began
        bad = [(request, clip) for request, clip in decoded if isinstance(clip, Exception)]
        if bad:
            yield Scored(list(bad))
        good = [(request, clip) for request, clip in decoded if isinstance(clip, Clip)]
        for part in in_batches(good, self._most_windows):
            yield self._score(part, seconds)

    def _decode_all(self, group: Sequence[PendingRequest]) -> list[Clip | Exception]:
        if self._decoders is None or len(group) == 1:
            return [self._decode(request) for request in group]
        return list(self._decoders.map(self._decode, group))

    def _decode(self, request: PendingRequest) -> Clip | Exception:
        try:
            return hooks.decode_request(request.body, request.model, self._limits, request.channel)
        except Exception as error:  # noqa: BLE001  (the request is told, whatever it was)
            return error

    def _score(self, part: Sequence[Decoded], decoding: float) -> Scored:
        """One batch through the network."""
        requests, clips = [request for request, _ in part], [clip for _, clip in part]
        windows = sum(len(clip.x) for clip in clips)
        began = time.perf_counter()
        try:
            asked = requests[0].model, hooks.batch(clips), self._device, self._most_windows
            probabilities = hooks.unbatch(hooks.predict(*asked), clips)
            adversarial = hooks.unbatch_detected(hooks.detect(*asked), clips)
        except Exception as error:  # noqa: BLE001  (it fails these clips and no others)
            return Scored([(request, error) for request in requests], windows, error)
        network = time.perf_counter() - began
        results: list[Result] = [
            (
                request,
                clip_scores(
                    each, clip, attacked, queue=began - request.since - decoding, network=network
                ),
            )
            for (request, clip), each, attacked in zip(
                part, probabilities, adversarial, strict=True
            )
        ]
        return Scored(results, windows)


def in_batches(clips: Sequence[Decoded], most: int) -> Iterator[list[Decoded]]:
    """Split clips into batches of at most ``most`` windows, short clips first: nobody with one
    window waits for somebody's forty. A clip with more windows than ``most`` is a batch."""
    part: list[Decoded] = []
    room = most
    for request, clip in sorted(clips, key=lambda pair: len(pair[1].x)):
        if part and len(clip.x) > room:
            yield part
            part, room = [], most
        part.append((request, clip))
        room -= len(clip.x)
    if part:
        yield part


def clip_scores(
    probabilities: list[float],
    clip: Clip,
    adversarial_score: float | None,
    *,
    queue: float,
    network: float,
) -> ClipScores:
    """The scores of a clip; ``queue`` and ``network`` in seconds."""
    return ClipScores(
        probabilities=probabilities,
        adversarial_score=adversarial_score,
        duration_s=clip.duration_s,
        windows=len(clip.x),
        warnings=clip.warnings,
        timings={
            "decode": clip.decode_ms,
            "features": clip.features_ms,
            "queue": 1000 * queue,
            "network": 1000 * network,
        },
    )


def use_threads(threads: int) -> None:
    """Let torch use so many threads for the work of this thread, and of those that start later.

    The look before makes torch take over the present count for this thread, which would otherwise
    happen at its first operation and undo the choice.
    """
    torch.get_num_threads()
    torch.set_num_threads(threads)


def change_threads(threads: int) -> None:
    """Let torch use so many threads for the work of this thread, and one for those that start
    later: it gives them what any thread chose last."""
    use_threads(threads)
    last = threading.Thread(target=use_threads, args=(1,))
    last.start()
    last.join()
