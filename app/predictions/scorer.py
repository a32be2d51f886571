"""From requests to outcomes: which clips go through the network together, and on which cores.

On a CPU, helper threads share the work: several clips are decoded by one thread each while the
network rests (it keeps all cores busy, and then every other thread only holds it up), and a batch
is divided among them, each core with windows of its own. That takes a tenth less time than all
cores on all of them. A lone window is left to all cores.
"""

import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from app.predictions import hooks
from app.predictions.hooks import Clip
from app.predictions.line import Outcome, Waiting
from app.registry.loaded import LoadedModel

THREADS = torch.get_num_threads()
"""Of the network's work; read before `use_threads` changes it for other threads."""
WINDOWS_A_CORE = 2
"""Of a batch on a CPU. More of them fall out of its caches and take longer each."""

Decoded = tuple[Waiting, Clip]
Result = tuple[Waiting, Outcome | Exception]


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
    """Decodes and scores. For the inference thread alone.

    Args:
        device: where the networks are.
        limits: what one clip may be.
        most_windows: that go through a network at one time.
    """

    def __init__(self, device: torch.device, limits: hooks.Limits, most_windows: int) -> None:
        self.most_windows = most_windows
        self._device = device
        self._limits = limits
        self._helpers = ThreadPoolExecutor(THREADS, "helper")

    def close(self) -> None:
        """End the helpers."""
        self._helpers.shutdown(wait=False)

    def score(self, group: Sequence[Waiting]) -> Iterator[Scored]:
        """Score requests for one model; each part of the results as soon as it is there."""
        began = time.perf_counter()
        decoded = list(zip(group, self._decode_all(group), strict=True))
        seconds = time.perf_counter() - began
        yield Scored([(request, clip) for request, clip in decoded if isinstance(clip, Exception)])
        good = [(request, clip) for request, clip in decoded if isinstance(clip, Clip)]
        for part in in_batches(good, self.most_windows):
            yield self._score(part, seconds)

    def _decode_all(self, group: Sequence[Waiting]) -> list[Clip | Exception]:
        if len(group) == 1:
            return [self._decode(group[0])]
        return list(self._helpers.map(self._decode, group))

    def _decode(self, request: Waiting) -> Clip | Exception:
        try:
            return hooks.decode_request(request.body, request.model, self._limits)
        except Exception as error:  # noqa: BLE001  (the request is told, whatever it was)
            return error

    def _score(self, part: Sequence[Decoded], decoding: float) -> Scored:
        """One batch through the network."""
        requests, clips = [request for request, _ in part], [clip for _, clip in part]
        windows = sum(len(clip.x) for clip in clips)
        began = time.perf_counter()
        try:
            probabilities = hooks.unbatch(
                self._predict(requests[0].model, hooks.batch(clips)), clips
            )
        except Exception as error:  # noqa: BLE001  (it fails these clips and no others)
            return Scored([(request, error) for request in requests], windows, error)
        network = time.perf_counter() - began
        results: list[Result] = [
            (request, outcome(each, clip, queue=began - request.since - decoding, network=network))
            for (request, clip), each in zip(part, probabilities, strict=True)
        ]
        return Scored(results, windows)

    def _predict(self, model: LoadedModel, x: Tensor) -> Tensor:
        """Probabilities of the windows; on a CPU by the helpers, if there is work for all."""
        if self._device.type != "cpu" or len(x) < THREADS or THREADS == 1:
            return hooks.predict(model, x, self._device, self.most_windows)
        part = partial(hooks.predict, model, device=self._device, most=WINDOWS_A_CORE)
        return torch.cat(list(self._helpers.map(part, x.chunk(THREADS))))


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


def outcome(probabilities: list[float], clip: Clip, *, queue: float, network: float) -> Outcome:
    """The outcome of a clip; ``queue`` and ``network`` in seconds."""
    return Outcome(
        probabilities=probabilities,
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
