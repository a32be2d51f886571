"""The heartbeat file: its age is the health of the process."""

import os
import time
from pathlib import Path

import pytest

from app.operations.heartbeat import FORGOTTEN_SECONDS, STALE_SECONDS, Heartbeat
from app.settings import Settings


@pytest.fixture
def heartbeat(settings: Settings) -> Heartbeat:
    settings.data_dir.mkdir()
    return Heartbeat.of(settings, "audits")


def age(path: Path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


class TestHeartbeat:
    def test_a_process_that_never_beat_is_not_healthy(self, heartbeat: Heartbeat) -> None:
        why = heartbeat.why_not()
        assert why is not None
        assert "has not started to work yet" in why

    def test_one_that_just_did_is(self, heartbeat: Heartbeat) -> None:
        heartbeat.beat()
        assert heartbeat.why_not() is None

    def test_one_whose_file_grows_old_is_not_until_it_beats_again(
        self, heartbeat: Heartbeat
    ) -> None:
        heartbeat.beat()
        age(heartbeat.path, STALE_SECONDS + 2)
        why = heartbeat.why_not()
        assert why is not None
        assert why.startswith(f"its last heartbeat was {STALE_SECONDS + 2:.0f} s ago")
        heartbeat.beat()
        assert heartbeat.why_not() is None

    def test_another_queue_of_this_host_is_another_process(
        self, heartbeat: Heartbeat, settings: Settings
    ) -> None:
        heartbeat.beat()
        assert Heartbeat.of(settings, "trainings").why_not() is not None

    def test_one_that_stops_takes_its_file_and_those_of_hosts_that_are_long_gone(
        self, heartbeat: Heartbeat
    ) -> None:
        heartbeat.beat()
        gone, alive = (heartbeat.path.with_name(f"audits@{host}") for host in ("gone", "alive"))
        for path in (gone, alive):
            path.touch()
        age(gone, FORGOTTEN_SECONDS + 60)
        heartbeat.stop()
        assert list(heartbeat.path.parent.iterdir()) == [alive]
