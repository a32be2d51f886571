"""The heartbeat files: their age is the health of the processes."""

import os
import time
from pathlib import Path

import pytest

from app.operations.heartbeat import FORGOTTEN_SECONDS, STALE_SECONDS, Heartbeat, Heartbeats
from app.settings import Settings


@pytest.fixture
def heartbeats(settings: Settings) -> Heartbeats:
    settings.data_dir.mkdir()
    return Heartbeats.of(settings, "audits")


@pytest.fixture
def heartbeat(heartbeats: Heartbeats) -> Heartbeat:
    """That of this process."""
    return heartbeats.mine()


@pytest.fixture
def neighbour(heartbeats: Heartbeats) -> Heartbeat:
    """That of another worker of this host and queue."""
    return Heartbeat(heartbeats.folder / f"{heartbeats.prefix}0")


def age(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


class TestHeartbeat:
    def test_a_process_that_never_beat_is_not_healthy(self, heartbeats: Heartbeats) -> None:
        why = heartbeats.why_not()
        assert why is not None
        assert "has not started to work yet" in why

    def test_one_that_just_did_is(self, heartbeats: Heartbeats, heartbeat: Heartbeat) -> None:
        heartbeat.beat()
        assert heartbeats.why_not() is None

    def test_one_whose_file_grows_old_is_not_until_it_beats_again(
        self, heartbeats: Heartbeats, heartbeat: Heartbeat
    ) -> None:
        heartbeat.beat()
        age(heartbeat.path, STALE_SECONDS + 2)
        why = heartbeats.why_not()
        assert why is not None
        assert why.startswith(f"its last heartbeat was {STALE_SECONDS + 2:.0f} s ago")
        heartbeat.beat()
        assert heartbeats.why_not() is None

    def test_another_queue_of_this_host_is_another_process(
        self, heartbeat: Heartbeat, settings: Settings
    ) -> None:
        heartbeat.beat()
        assert Heartbeats.of(settings, "trainings").why_not() is not None


class TestTwoWorkersOfAQueueOnOneHost:
    def test_one_that_stops_leaves_the_other_its_file(
        self, heartbeats: Heartbeats, heartbeat: Heartbeat, neighbour: Heartbeat
    ) -> None:
        heartbeat.beat()
        neighbour.beat()
        neighbour.stop()
        assert heartbeats.why_not() is None
        heartbeat.stop()
        assert heartbeats.why_not() is not None

    def test_the_youngest_file_tells(
        self, heartbeats: Heartbeats, heartbeat: Heartbeat, neighbour: Heartbeat
    ) -> None:
        for one in (heartbeat, neighbour):
            one.beat()
            age(one.path, STALE_SECONDS + 2)
        assert heartbeats.why_not() is not None
        neighbour.beat()
        assert heartbeats.why_not() is None


class TestWhatKilledProcessesLeave:
    @pytest.fixture
    def left(self, heartbeat: Heartbeat) -> Path:
        """A file of a host that is long gone, beside one of a host that is not."""
        heartbeat.path.parent.mkdir()
        gone, alive = (heartbeat.path.with_name(f"audits@{host}.7") for host in ("gone", "alive"))
        for path in (gone, alive):
            path.touch()
        age(gone, FORGOTTEN_SECONDS + 60)
        return alive

    def test_goes_when_another_begins(self, heartbeat: Heartbeat, left: Path) -> None:
        heartbeat.beat()
        assert set(heartbeat.path.parent.iterdir()) == {left, heartbeat.path}

    def test_goes_when_another_stops(self, heartbeat: Heartbeat, left: Path) -> None:
        heartbeat.stop()
        assert list(heartbeat.path.parent.iterdir()) == [left]
