"""The inference lanes: batches, failures, and their end."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import torch
from torch import Tensor

from app.errors import ServalError, Unavailable
from app.predictions import engine as engine_module
from app.predictions import hooks
from app.predictions.engine import Engine
from app.predictions.request_queue import ClipScores, PendingRequest
from app.predictions.scorer import Scorer, in_batches
from app.registry.loaded import LoadedModel
from models.audio import AudioError
from tests.app.predictions.clips import BAD, good_wav
from tests.app.tiny import tiny_config, tiny_net

LIMITS = hooks.Limits(seconds=60, windows=256)


@pytest.fixture(autouse=True)
def _tiny(tiny_architecture: None) -> None:
    """Every test here has tiny models."""


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    """An engine changes how many threads torch uses from then on; each test puts it back."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


class Held(torch.nn.Module):
    """A network that waits until it may go on, and notes what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.net = tiny_net()
        self.entered = threading.Semaphore(0)
        self.may_go_on = threading.Semaphore(0)
        self.sizes: list[int] = []
        self.threads: list[int] = []
        self.failure: BaseException | None = None

    def forward(self, x: Tensor) -> Tensor:
        self.sizes.append(len(x))
        self.threads.append(torch.get_num_threads())
        self.entered.release()
        assert self.may_go_on.acquire(timeout=10)
        if self.failure is not None:
            raise self.failure
        logits: Tensor = self.net(x)
        return logits


def loaded(network: torch.nn.Module, name: str = "tiny") -> LoadedModel:
    config = tiny_config()
    return LoadedModel(name, None, config, config.standardizer, network, 0)


@asynccontextmanager
async def running(lanes: int = 1, **options: Any) -> AsyncIterator[Engine]:
    engine = Engine(
        Scorer(torch.device("cpu"), LIMITS, 8),
        lanes=lanes,
        most_clips=8,
        **{"stuck_seconds": 30.0, **options},
    )
    engine.start()
    try:
        yield engine
    finally:
        await asyncio.to_thread(engine.stop)


async def entered(network: Held) -> None:
    """Return when the network has begun with a batch."""
    assert await asyncio.to_thread(network.entered.acquire, timeout=10)


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def within() -> None:
        async with asyncio.timeout(30):
            await test()

    asyncio.run(within())


class TestBatches:
    def test_a_lone_clip_starts_at_once_and_the_others_gather_meanwhile(self) -> None:
        async def test() -> None:
            network = Held()
            model = loaded(network)
            batches: list[int] = []
            async with running(on_batch=batches.append) as engine:
                first = engine.submit(model, good_wav())
                await entered(network)
                others = [engine.submit(model, good_wav(seed=seed)) for seed in range(5)]
                for _ in range(6):
                    network.may_go_on.release()
                await asyncio.gather(first, *others)
            assert batches == [1, 5]

        run(test)

    @pytest.mark.parametrize("lanes", [1, 2, 3])
    def test_each_gets_its_own_scores(self, lanes: int) -> None:
        async def test() -> None:
            model = loaded(tiny_net())
            clips = [good_wav(0.3 + seed / 2, seed=seed) for seed in range(6)]
            async with running(lanes) as engine:
                alone = [await engine.submit(model, clip) for clip in clips]
                together = await asyncio.gather(*(engine.submit(model, clip) for clip in clips))
            for one, other in zip(alone, together, strict=True):
                assert one.probabilities == pytest.approx(other.probabilities, abs=1e-6)
                assert one.windows == other.windows
            assert len({tuple(one.probabilities) for one in alone}) == len(clips)

        run(test)

    def test_two_models_never_share_a_batch(self) -> None:
        async def test() -> None:
            one, other = Held(), Held()
            async with running() as engine:
                first = engine.submit(loaded(one), good_wav())
                await entered(one)
                mixed = [
                    engine.submit(model, good_wav())
                    for model in (loaded(one, "a"), loaded(other, "b"))
                ]
                for network in (one, other):
                    for _ in range(4):
                        network.may_go_on.release()
                await asyncio.gather(first, *mixed)
            assert one.sizes == [1, 1]
            assert other.sizes == [1]

        run(test)

    def test_a_clip_that_was_given_up_is_not_scored(self) -> None:
        async def test() -> None:
            network = Held()
            model = loaded(network)
            async with running() as engine:
                first = engine.submit(model, good_wav())
                await entered(network)
                abandoned, kept = (engine.submit(model, good_wav()) for _ in range(2))
                abandoned.cancel()
                for _ in range(3):
                    network.may_go_on.release()
                await asyncio.gather(first, kept)
            assert network.sizes == [1, 1]

        run(test)

    def test_a_bad_clip_fails_alone(self) -> None:
        async def test() -> None:
            model = loaded(tiny_net())
            async with running() as engine:
                bodies = [good_wav(), BAD["silence"][0], good_wav(), BAD["text"][0]]
                results = await asyncio.gather(
                    *(engine.submit(model, body) for body in bodies), return_exceptions=True
                )
            kinds = [type(result) for result in results]
            assert kinds == [ClipScores, AudioError, ClipScores, AudioError]

        run(test)

    def test_timings_tell_the_wait(self) -> None:
        async def test() -> None:
            network = Held()
            model = loaded(network)
            async with running() as engine:
                first = engine.submit(model, good_wav())
                await entered(network)
                before = time.perf_counter()
                second = engine.submit(model, good_wav())
                submitted = time.perf_counter()
                await asyncio.sleep(0.1)
                held = time.perf_counter() - submitted
                network.may_go_on.release()
                network.may_go_on.release()
                await first
                timings = (await second).timings
                everything = time.perf_counter() - before
            assert 1000 * held <= timings["queue"]
            assert sum(timings.values()) <= 1000 * everything

        run(test)


class TestInBatches:
    def parts(self, sizes: list[int], most: int) -> list[list[int]]:
        request: Any = None
        clips = [hooks.Clip(torch.zeros(size, 1, 1), 0.0, (), 0.0, 0.0) for size in sizes]
        found = in_batches([(request, clip) for clip in clips], most)
        return [[len(clip.x) for _, clip in part] for part in found]

    def test_short_clips_first_and_no_batch_too_large(self) -> None:
        assert self.parts([1, 40, 1, 2, 3], 4) == [[1, 1, 2], [3], [40]]

    def test_no_clips_make_no_batches(self) -> None:
        assert self.parts([], 4) == []

    def test_all_that_fit_in_one(self) -> None:
        assert self.parts([1] * 8, 8) == [[1] * 8]


class TestLanes:
    def test_lanes_work_at_the_same_time_each_with_a_core(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(engine_module, "THREADS", 2)

        async def test() -> None:
            network = Held()
            model = loaded(network)
            async with running(lanes=2) as engine:
                alone = engine.submit(model, good_wav())
                await entered(network)
                others = [engine.submit(model, good_wav()) for _ in range(4)]
                network.may_go_on.release()
                await alone
                for _ in range(2):
                    await entered(network)
                assert network.sizes == [1, 2, 2]
                for _ in range(2):
                    network.may_go_on.release()
                await asyncio.gather(*others)
            assert network.threads == [2, 1, 1]

        run(test)

    @pytest.mark.parametrize("lanes", [1, 2])
    def test_a_thread_that_starts_after_a_lone_clip_has_one_core(
        self, monkeypatch: pytest.MonkeyPatch, lanes: int
    ) -> None:
        monkeypatch.setattr(engine_module, "THREADS", 2)
        cores: list[int] = []

        async def test() -> None:
            network = Held()
            network.may_go_on.release()
            async with running(lanes) as engine:
                await engine.submit(loaded(network), good_wav())
                later = threading.Thread(target=lambda: cores.append(torch.get_num_threads()))
                later.start()
                later.join()
            assert network.threads == [2]

        run(test)
        assert cores == [1]

    def test_one_that_dies_says_so_and_another_finishes_what_it_has(self) -> None:
        async def test() -> None:
            network, other = Held(), Held()
            async with running(lanes=2) as engine:
                network.failure = KeyboardInterrupt()
                first = engine.submit(loaded(network, "a"), good_wav())
                await entered(network)
                second, third = (engine.submit(loaded(other, "b"), good_wav()) for _ in range(2))
                network.failure = None
                network.may_go_on.release()
                await first
                for _ in range(2):
                    await entered(other)
                other.failure = KeyboardInterrupt()
                other.may_go_on.release()
                done, _ = await asyncio.wait([second, third], return_when="FIRST_COMPLETED")
                other.failure = None
                other.may_go_on.release()
                (dead,) = done
                assert isinstance(dead.exception(), Unavailable)
                (alive,) = {second, third} - done
                assert isinstance(await alive, ClipScores)
                with pytest.raises(Unavailable, match="KeyboardInterrupt"):
                    engine.check()

        run(test)


class TestFailures:
    def test_an_exception_fails_its_batch_and_nobody_elses(self) -> None:
        async def test() -> None:
            network = Held()
            model = loaded(network)
            async with running() as engine:
                network.failure = RuntimeError("broken kernel")
                network.may_go_on.release()
                with pytest.raises(ServalError, match="RuntimeError") as failed:
                    await engine.submit(model, good_wav())
                assert failed.value.code == "inference_failed"
                assert "broken kernel" not in failed.value.detail
                network.failure = None
                network.may_go_on.release()
                assert isinstance(await engine.submit(model, good_wav()), ClipScores)
                engine.check()

        run(test)

    def test_an_engine_that_failed_three_times_in_a_row_is_not_ready_until_one_succeeds(
        self,
    ) -> None:
        async def test() -> None:
            network = Held()
            model = loaded(network)
            async with running() as engine:
                network.failure = RuntimeError("device lost")
                for _ in range(engine_module.FAILURES_IN_A_ROW):
                    engine.check()
                    network.may_go_on.release()
                    with pytest.raises(ServalError):
                        await engine.submit(model, good_wav())
                with pytest.raises(Unavailable, match="last 3 batches failed: RuntimeError"):
                    engine.check()
                network.failure = None
                network.may_go_on.release()
                await engine.submit(model, good_wav())
                engine.check()

        run(test)

    def test_a_full_device_is_a_reason_to_come_again(self) -> None:
        async def test() -> None:
            network = Held()
            async with running() as engine:
                network.failure = torch.OutOfMemoryError("CUDA out of memory")
                network.may_go_on.release()
                with pytest.raises(Unavailable) as failed:
                    await engine.submit(loaded(network), good_wav())
                assert failed.value.code == "out_of_memory"
                assert failed.value.headers["Retry-After"]

        run(test)

    def test_a_thread_that_dies_says_so_and_leaves_nobody_waiting(self) -> None:
        async def test() -> None:
            network = Held()
            model = loaded(network)
            async with running() as engine:
                network.failure = KeyboardInterrupt()
                first = engine.submit(model, good_wav())
                await entered(network)
                second = engine.submit(model, good_wav())
                network.may_go_on.release()
                for waiting in (first, second):
                    with pytest.raises(Unavailable) as failed:
                        await waiting
                    assert failed.value.code == "inference_down"
                with pytest.raises(Unavailable, match="KeyboardInterrupt"):
                    engine.check()
                with pytest.raises(Unavailable):
                    engine.submit(model, good_wav())

        run(test)

    def test_a_batch_that_never_ends_makes_it_not_ready(self) -> None:
        async def test() -> None:
            network = Held()
            async with running(stuck_seconds=0.05) as engine:
                waiting = engine.submit(loaded(network), good_wav())
                await entered(network)
                await asyncio.sleep(0.1)
                with pytest.raises(Unavailable, match="at one batch"):
                    engine.check()
                network.may_go_on.release()
                await waiting
                await asyncio.to_thread(engine.stop)
            assert engine._busy_since == [None]

        run(test)


class TestStop:
    def test_what_was_submitted_is_finished(self) -> None:
        async def test() -> None:
            network = Held()
            model = loaded(network)
            async with running() as engine:
                waiting = [engine.submit(model, good_wav()) for _ in range(3)]
                await entered(network)
                stopping = asyncio.create_task(asyncio.to_thread(engine.stop))
                for _ in range(3):
                    network.may_go_on.release()
                results = await asyncio.gather(*waiting)
                await stopping
                assert all(isinstance(result, ClipScores) for result in results)
                with pytest.raises(Unavailable) as failed:
                    engine.submit(model, good_wav())
                assert failed.value.code == "stopping"

        run(test)


class TestHooks:
    def test_a_clip_takes_the_five_steps(self) -> None:
        model = loaded(tiny_net())
        clips = [hooks.decode_request(good_wav(seed=seed), model, LIMITS) for seed in range(2)]
        x = hooks.batch(clips)
        assert x.shape == (2, 32, 64)
        scored = hooks.predict(model, x, torch.device("cpu"), most=1)
        assert scored.sum(1).tolist() == pytest.approx([1, 1])
        probabilities = hooks.unbatch(scored, clips)
        scores = hooks.encode_response(probabilities[0], model.config.labels, top_k=2)
        assert [score["score"] for score in scores] == sorted(probabilities[0], reverse=True)[:2]
        by_label = dict(zip(model.config.labels, probabilities[0], strict=True))
        assert all(by_label[score["label"]] == score["score"] for score in scores)

    def test_waiting_requests_know_when_they_came(self) -> None:
        async def test() -> None:
            future: asyncio.Future[ClipScores] = asyncio.get_running_loop().create_future()
            one = PendingRequest(loaded(tiny_net()), b"", future)
            two = PendingRequest(loaded(tiny_net()), b"", future)
            assert one.since < two.since

        run(test)
