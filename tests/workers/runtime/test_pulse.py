"""The pulse of a worker and of the reconciler."""

import pytest

from app.operations.heartbeat import Heartbeats
from workers.runtime.context import WorkerContext
from workers.runtime.pulse import Pulse


class TestPulse:
    def test_it_beats_while_everything_answers(self, context: WorkerContext) -> None:
        assert Pulse(context, "audits").beat()
        assert Heartbeats.of(context.settings, "audits").why_not() is None

    def test_it_does_not_while_something_is_missing_and_waits_for_it(
        self, context: WorkerContext, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pulse = Pulse(context, "audits")
        answers = iter([{"queue": "away"}, {"queue": "away"}, {}])
        monkeypatch.setattr(pulse._needs, "missing", lambda: next(answers))
        heartbeats = Heartbeats.of(context.settings, "audits")
        healthy: list[bool] = []
        pulse.wait(lambda _: healthy.append(heartbeats.why_not() is None))
        assert healthy == [False, False]
        assert heartbeats.why_not() is None

    def test_what_answered_a_moment_ago_is_not_asked_again(
        self, context: WorkerContext, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pulse = Pulse(context, "audits")
        pulse.wait()
        monkeypatch.setattr(pulse._needs, "missing", dict[str, str]().copy)
        monkeypatch.setattr(pulse, "beat", lambda: pytest.fail("it asked"))
        pulse.wait()

    def test_one_that_stops_has_no_heartbeat_any_more(self, context: WorkerContext) -> None:
        pulse = Pulse(context, "audits")
        pulse.beat()
        pulse.stop()
        assert Heartbeats.of(context.settings, "audits").why_not() is not None
