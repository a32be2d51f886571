"""The queue of requests: in order, by model, without those given up; and who takes how many."""

import threading
from asyncio import Future, new_event_loop
from collections.abc import Callable, Iterator
from queue import Empty, Queue

import pytest

from app.predictions.request_queue import ClipScores, MicroBatch, PendingRequest, RequestQueue
from app.registry.loaded import LoadedModel
from tests.app.tiny import tiny_config, tiny_net

NewFuture = Callable[[], Future[ClipScores]]


@pytest.fixture(autouse=True)
def _tiny(tiny_architecture: None) -> None:
    """Every test here has tiny models."""


@pytest.fixture
def future() -> Iterator[NewFuture]:
    """Makes futures of a loop that does not run."""
    loop = new_event_loop()
    yield loop.create_future
    loop.close()


def model(name: str) -> LoadedModel:
    config = tiny_config()
    return LoadedModel(name, None, config, config.standardizer, tiny_net(), 0)


def names(batch: MicroBatch | None) -> list[str]:
    assert batch is not None
    return [request.body.decode() for request in batch.requests]


def take(queue: RequestQueue) -> list[str]:
    """What the only lane of a queue takes and is done with."""
    batch = queue.take()
    if batch is None:
        return []
    queue.done(batch)
    return names(batch)


def put(queue: RequestQueue, model: LoadedModel, bodies: str, future: NewFuture) -> None:
    for body in bodies:
        assert queue.put(PendingRequest(model, body.encode(), future()))


class TestLine:
    def test_whatever_waits_is_taken_in_order(self, future: NewFuture) -> None:
        queue = RequestQueue(10)
        put(queue, model("m"), "abc", future)
        assert take(queue) == ["a", "b", "c"]

    def test_a_batch_has_no_more_than_fit(self, future: NewFuture) -> None:
        queue = RequestQueue(2)
        put(queue, model("m"), "abcde", future)
        assert take(queue) == ["a", "b"]
        assert take(queue) == ["c", "d"]

    def test_models_are_not_mixed_and_the_first_in_line_is_always_next(
        self, future: NewFuture
    ) -> None:
        queue, one, other = RequestQueue(10), model("one"), model("other")
        put(queue, one, "a", future)
        put(queue, other, "x", future)
        put(queue, one, "b", future)
        put(queue, other, "y", future)
        assert take(queue) == ["a", "b"]
        put(queue, one, "c", future)
        assert take(queue) == ["x", "y"]
        assert take(queue) == ["c"]

    def test_what_was_given_up_is_dropped(self, future: NewFuture) -> None:
        queue, one = RequestQueue(10), model("m")
        requests = [PendingRequest(one, body, future()) for body in (b"a", b"b", b"c")]
        for request in requests:
            queue.put(request)
        requests[0].future.cancel()
        requests[2].future.cancel()
        assert take(queue) == ["b"]

    def test_take_waits_for_the_first(self, future: NewFuture) -> None:
        queue, taken = RequestQueue(10), []
        thread = threading.Thread(target=lambda: taken.append(take(queue)))
        thread.start()
        put(queue, model("m"), "a", future)
        thread.join(5)
        assert taken == [["a"]]

    def test_closed_it_lets_nobody_in_and_those_inside_out(self, future: NewFuture) -> None:
        queue = RequestQueue(1)
        put(queue, model("m"), "ab", future)
        queue.close()
        assert not queue.put(PendingRequest(model("m"), b"c", future()))
        assert take(queue) == ["a"]
        assert take(queue) == ["b"]
        assert take(queue) == []

    def test_cleared_it_is_closed_and_empty(self, future: NewFuture) -> None:
        queue = RequestQueue(10)
        put(queue, model("m"), "ab", future)
        assert [request.body for request in queue.clear()] == [b"a", b"b"]
        assert not queue.put(PendingRequest(model("m"), b"c", future()))
        assert take(queue) == []


class Lane:
    """A lane in a thread of its own, so that it may wait; `takes` tells what it got."""

    def __init__(self, queue: RequestQueue, *, leads: bool) -> None:
        self._queue = queue
        self._leads = leads
        self._taken: Queue[MicroBatch | None] = Queue()
        self.batch: MicroBatch | None = None

    def ask(self) -> "Lane":
        thread = threading.Thread(
            target=lambda: self._taken.put(self._queue.take(leads=self._leads)), daemon=True
        )
        thread.start()
        return self

    def takes(self) -> list[str]:
        self.batch = self._taken.get(timeout=10)
        return names(self.batch) if self.batch else []

    def waits(self) -> bool:
        try:
            self.batch = self._taken.get(timeout=0.1)
        except Empty:
            return True
        return False

    def done(self) -> None:
        assert self.batch is not None
        self._queue.done(self.batch)


class TestLanes:
    @pytest.fixture
    def queue(self) -> RequestQueue:
        return RequestQueue(3, lanes=2)

    @pytest.fixture
    def leader(self, queue: RequestQueue) -> Lane:
        return Lane(queue, leads=True)

    @pytest.fixture
    def one(self, queue: RequestQueue) -> Lane:
        return Lane(queue, leads=False)

    @pytest.fixture
    def other(self, queue: RequestQueue) -> Lane:
        return Lane(queue, leads=False)

    def test_a_lone_request_is_the_leaders_who_has_all_cores(
        self, queue: RequestQueue, leader: Lane, other: Lane, future: NewFuture
    ) -> None:
        other.ask()
        put(queue, model("m"), "a", future)
        assert other.waits()
        assert leader.ask().takes() == ["a"]
        assert leader.batch is not None
        assert leader.batch.alone

    def test_a_lone_request_is_anothers_while_but_one_core_is_free(self, future: NewFuture) -> None:
        free = 1
        queue = RequestQueue(3, lanes=2, free=lambda: free)
        leader, one = Lane(queue, leads=True), Lane(queue, leads=False)
        leader.ask()
        one.ask()
        put(queue, model("m"), "a", future)
        assert one.takes() == ["a"]
        assert one.batch is not None
        assert not one.batch.alone
        one.done()
        free = 2
        put(queue, model("m"), "b", future)
        assert leader.takes() == ["b"]

    def test_nobody_works_beside_one_who_is_alone(
        self, queue: RequestQueue, leader: Lane, one: Lane, other: Lane, future: NewFuture
    ) -> None:
        put(queue, model("m"), "a", future)
        assert leader.ask().takes() == ["a"]
        one.ask()
        put(queue, model("m"), "bcd", future)
        assert one.waits()
        leader.done()
        assert one.takes() == ["b", "c"]
        assert other.ask().takes() == ["d"]

    def test_what_waits_is_divided_among_the_free_without_the_leader(
        self, queue: RequestQueue, leader: Lane, one: Lane, other: Lane, future: NewFuture
    ) -> None:
        put(queue, model("m"), "abcd", future)
        assert leader.ask().waits()
        assert one.ask().takes() == ["a", "b"]
        assert other.ask().takes() == ["c", "d"]
        for lane in (one, other):
            assert lane.batch is not None
            assert not lane.batch.alone

    def test_a_share_has_no_more_than_fit(
        self, queue: RequestQueue, one: Lane, other: Lane, future: NewFuture
    ) -> None:
        put(queue, model("m"), "abcdefghi", future)
        assert one.ask().takes() == ["a", "b", "c"]
        assert other.ask().takes() == ["d", "e", "f"]

    def test_a_lane_that_is_done_goes_on_while_the_others_work(
        self, queue: RequestQueue, leader: Lane, one: Lane, other: Lane, future: NewFuture
    ) -> None:
        put(queue, model("m"), "ab", future)
        assert one.ask().takes() == ["a"]
        assert other.ask().takes() == ["b"]
        other.done()
        other.ask()
        leader.ask()
        put(queue, model("m"), "c", future)
        assert other.takes() == ["c"]
        assert other.batch is not None
        assert not other.batch.alone
        assert leader.waits()

    def test_the_last_one_left_is_the_leaders(
        self, queue: RequestQueue, leader: Lane, one: Lane, future: NewFuture
    ) -> None:
        put(queue, model("m"), "abc", future)
        leader.ask()
        assert one.ask().takes() == ["a", "b"]
        assert leader.waits()
        one.done()
        one.ask()
        assert leader.takes() == ["c"]
        assert one.waits()

    def test_one_that_was_given_up_does_not_divide_the_cores(
        self, queue: RequestQueue, leader: Lane, other: Lane, future: NewFuture
    ) -> None:
        given_up = PendingRequest(model("m"), b"a", future())
        queue.put(given_up)
        given_up.future.cancel()
        other.ask()
        leader.ask()
        put(queue, model("m"), "b", future)
        assert leader.takes() == ["b"]
        assert leader.batch is not None
        assert leader.batch.alone
        assert other.waits()

    def test_one_that_others_were_woken_for_and_that_is_alone_now_is_passed_to_the_leader(
        self, queue: RequestQueue, leader: Lane, other: Lane, future: NewFuture
    ) -> None:
        given_up = PendingRequest(model("m"), b"a", future())
        queue.put(given_up)
        put(queue, model("m"), "b", future)
        assert leader.ask().waits()
        given_up.future.cancel()
        assert other.ask().waits()
        assert leader.takes() == ["b"]

    def test_two_that_the_leader_was_woken_for_are_passed_to_the_others(
        self, queue: RequestQueue, leader: Lane, one: Lane, other: Lane, future: NewFuture
    ) -> None:
        put(queue, model("m"), "a", future)
        one.ask()
        other.ask()
        assert one.waits()
        assert other.waits()
        put(queue, model("m"), "b", future)
        assert leader.ask().waits()
        assert sorted(one.takes() + other.takes()) == ["a", "b"]

    @pytest.mark.parametrize("work", ["alone", "divided"])
    def test_closing_ends_all_lanes_once_the_last_request_is_done(
        self,
        queue: RequestQueue,
        leader: Lane,
        one: Lane,
        other: Lane,
        future: NewFuture,
        work: str,
    ) -> None:
        put(queue, model("m"), "a" if work == "alone" else "ab", future)
        at_work = [leader] if work == "alone" else [one, other]
        for lane, body in zip(at_work, "ab", strict=False):
            assert lane.ask().takes() == [body]
        queue.close()
        for lane in {leader, one, other} - set(at_work):
            assert lane.ask().takes() == []
        for lane in at_work:
            lane.done()
            assert lane.ask().takes() == []
