"""The line of requests: in order, by model, without those that were given up."""

import threading
from asyncio import Future, new_event_loop
from collections.abc import Callable, Iterator

import pytest

from app.predictions.line import Line, Outcome, Waiting
from app.registry.loaded import LoadedModel
from tests.app.tiny import tiny_config, tiny_net

NewFuture = Callable[[], Future[Outcome]]


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


def names(group: list[Waiting]) -> list[str]:
    return [request.body.decode() for request in group]


class TestLine:
    def put(self, line: Line, model: LoadedModel, bodies: str, future: NewFuture) -> None:
        for body in bodies:
            assert line.put(Waiting(model, body.encode(), future()))

    def test_whatever_waits_is_taken_in_order(self, future: NewFuture) -> None:
        line = Line()
        self.put(line, model("m"), "abc", future)
        assert names(line.take(10)) == ["a", "b", "c"]

    def test_no_more_than_fit(self, future: NewFuture) -> None:
        line = Line()
        self.put(line, model("m"), "abcde", future)
        assert names(line.take(2)) == ["a", "b"]
        assert names(line.take(2)) == ["c", "d"]

    def test_models_are_not_mixed_and_the_first_in_line_is_always_next(
        self, future: NewFuture
    ) -> None:
        line, one, other = Line(), model("one"), model("other")
        self.put(line, one, "a", future)
        self.put(line, other, "x", future)
        self.put(line, one, "b", future)
        self.put(line, other, "y", future)
        assert names(line.take(10)) == ["a", "b"]
        self.put(line, one, "c", future)
        assert names(line.take(10)) == ["x", "y"]
        assert names(line.take(10)) == ["c"]

    def test_what_was_given_up_is_dropped(self, future: NewFuture) -> None:
        line, one = Line(), model("m")
        requests = [Waiting(one, body, future()) for body in (b"a", b"b", b"c")]
        for request in requests:
            line.put(request)
        requests[0].future.cancel()
        requests[2].future.cancel()
        assert names(line.take(10)) == ["b"]

    def test_take_waits_for_the_first(self, future: NewFuture) -> None:
        line, taken = Line(), []
        thread = threading.Thread(target=lambda: taken.append(names(line.take(10))))
        thread.start()
        self.put(line, model("m"), "a", future)
        thread.join(5)
        assert taken == [["a"]]

    def test_closed_it_lets_nobody_in_and_those_inside_out(self, future: NewFuture) -> None:
        line = Line()
        self.put(line, model("m"), "ab", future)
        line.close()
        assert not line.put(Waiting(model("m"), b"c", future()))
        assert names(line.take(1)) == ["a"]
        assert names(line.take(1)) == ["b"]
        assert line.take(1) == []

    def test_closing_wakes_who_waits(self) -> None:
        line, taken = Line(), []
        thread = threading.Thread(target=lambda: taken.append(line.take(10)))
        thread.start()
        line.close()
        thread.join(5)
        assert taken == [[]]
