"""`serval up` with parts that do nothing: what is started, kept alive, and stopped in order.

The real parts are started in tests/faults.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from app.settings import Settings
from app.supervisor import supervisor
from tests.app.supervisor import stand_in

ROOT = Path(__file__).resolve().parents[3]
SECONDS = 60.0  # far more than is needed, for machines that do other things too


class Up:
    """A supervisor that runs, and what it has said."""

    def __init__(self, environment: dict[str, str], *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, stand_in.__file__, *arguments],
            cwd=ROOT,
            env=environment | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.data = Path(environment["SERVAL_DATA_DIR"])
        self.said = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said += line

    def told(self) -> list[str]:
        """What the parts told: `api started`, …"""
        path = self.data / "told"
        lines = path.read_text().splitlines() if path.exists() else []
        return [line.rpartition(" ")[0] for line in lines]

    def children(self) -> list[psutil.Process]:
        return psutil.Process(self.process.pid).children()

    def child(self, name: str) -> psutil.Process:
        return next(one for one in self.children() if one.cmdline()[-2:-1] == [name])

    def wait_until(self, holds: Callable[[], bool]) -> None:
        until = time.monotonic() + SECONDS
        while not holds():
            assert time.monotonic() < until, self.said
            time.sleep(0.02)

    def wait_until_it_says(self, text: str) -> None:
        """What it said before it started a part may be read after the part told of its start."""
        self.wait_until(lambda: text in self.said)

    def ready(self) -> "Up":
        self.wait_until(lambda: "is ready" in self.said and len(self.told()) >= 4)
        return self

    def ended(self) -> int:
        """Wait for its end; gives the exit status."""
        status = self.process.wait(SECONDS)
        self._reader.join(SECONDS)
        return status

    def end(self, number: int = signal.SIGINT) -> int:
        """Ask it to end; gives the exit status."""
        self.process.send_signal(number)
        return self.ended()

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.ended()
        assert self.process.stdout is not None
        self.process.stdout.close()


@pytest.fixture
def environment(tmp_path: Path, redis_url: str, database_url: str) -> dict[str, str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return os.environ | {
        "SERVAL_DATA_DIR": str(tmp_path / "data"),
        "SERVAL_PORT": str(port),
        "REDIS_URL": redis_url,
        "DATABASE_URL": database_url,
    }


Start = Callable[..., Up]


@pytest.fixture
def start(environment: dict[str, str]) -> Iterator[Start]:
    """Starts a supervisor; all are gone at the end."""
    started: list[Up] = []

    def start(*arguments: str, **changes: str) -> Up:
        kept = {name: value for name, value in (environment | changes).items() if value}
        started.append(Up(kept, *arguments))
        return started[-1]

    yield start
    for up in started:
        up.close()


def gone(processes: list[psutil.Process]) -> bool:
    return not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in processes)


class TestStart:
    def test_the_parts_are_started_and_it_is_said_when_and_where_all_is_ready(
        self, start: Start
    ) -> None:
        up = start().ready()
        assert sorted(up.told()) == [
            "api started",
            "audits started",
            "reconciler started",
            "trainings started",
        ]
        up.wait_until_it_says("http://127.0.0.1:")
        up.wait_until_it_says("curl --data-binary @samples/")

    def test_the_service_is_not_ready_before_its_workers_are(self, start: Start) -> None:
        up = start("audits=late")
        up.wait_until_it_says("is ready")
        assert "audits started" in up.told()

    def test_no_valkey_is_started_with_a_redis_url(self, start: Start, redis_url: str) -> None:
        up = start().ready()
        assert len(up.children()) == 4
        assert redis_url in (up.data / "told").read_text()

    def test_the_embedded_valkey_asks_for_a_password(self, start: Start) -> None:
        from redis import AuthenticationError, Redis

        up = start(REDIS_URL="").ready()
        assert [one.name() for one in up.children()].count("valkey-server") == 1
        url = (up.data / "told").read_text().split()[-1]
        with Redis.from_url(url) as redis:
            assert redis.ping()
            assert redis.config_get("appendonly") == {"appendonly": "yes"}
        stranger = Redis.from_url(f"redis://{url.partition('@')[2]}")
        with stranger, pytest.raises(AuthenticationError):
            stranger.ping()
        assert (up.data / "valkey" / "valkey.conf").stat().st_mode & 0o077 == 0

    def test_a_line_of_curl_for_a_closed_service_sends_the_key(self, start: Start) -> None:
        start("api=closed").ready().wait_until_it_says('-H "Authorization: Bearer $SERVAL_API_KEY"')


class TestRefusal:
    def test_a_port_in_use_is_named_with_the_remedy(
        self, start: Start, environment: dict[str, str]
    ) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", int(environment["SERVAL_PORT"])))
            taken.listen()
            up = start()
            assert up.ended() == 1
        assert f"Port {environment['SERVAL_PORT']} on 127.0.0.1 is in use" in up.said
        assert "SERVAL_PORT=" in up.said
        assert up.told() == []

    def test_a_second_one_on_the_same_data_folder_is_refused(self, start: Start) -> None:
        first = start().ready()
        second = start()
        assert second.ended() == 1
        assert f"process {first.process.pid}" in second.said
        assert str(first.data) in second.said
        assert len(first.told()) == 4

    def test_another_address_than_loopback_is_refused_while_there_is_no_key(
        self, start: Start
    ) -> None:
        up = start(SERVAL_HOST="0.0.0.0")
        assert up.ended() == 1
        assert "serval keys create" in up.said
        assert up.told() == []

    def test_a_data_folder_that_cannot_be_written_is_named(
        self, start: Start, tmp_path: Path
    ) -> None:
        (tmp_path / "file").write_text("")
        up = start(SERVAL_DATA_DIR=str(tmp_path / "file" / "data"))
        assert up.ended() == 1
        assert "SERVAL_DATA_DIR" in up.said

    def test_a_part_that_dies_of_its_start_ends_it_all_and_shows_why(self, start: Start) -> None:
        up = start("api=broken")
        assert up.ended() == 1
        assert "the disk is made of cheese" in up.said
        assert "api.log" in up.said

    @pytest.mark.parametrize("part", ["audits", "reconciler"])
    def test_a_part_that_dies_of_its_start_ends_it_all_while_the_api_is_there_too(
        self, start: Start, part: str
    ) -> None:
        up = start(f"{part}=broken", "trainings=late")
        assert up.ended() == 1
        assert f"{part} died 4 times" in up.said
        assert "the disk is made of cheese" in up.said
        assert "api ended" not in up.told()  # the API was well: it is killed with the rest


class TestRestart:
    def test_a_part_that_dies_is_started_again(self, start: Start) -> None:
        up = start().ready()
        for name in ("api", "audits", "reconciler"):
            before = up.child(name)
            before.kill()
            up.wait_until(lambda name=name: up.told().count(f"{name} started") == 2)  # type: ignore[misc]
            assert up.child(name).pid != before.pid
        up.wait_until_it_says("audits was killed by SIGKILL")

    def test_valkey_is_started_again_where_it_was(self, start: Start) -> None:
        from redis import Redis
        from redis.exceptions import RedisError

        up = start(REDIS_URL="").ready()
        url = (up.data / "told").read_text().split()[-1]
        with Redis.from_url(url) as redis:
            redis.set("kept", "yes")
            redis.waitaof(1, 0, 0)  # until it stands in the append-only file
        next(one for one in up.children() if one.name() == "valkey-server").kill()

        def back() -> bool:
            try:
                with Redis.from_url(url) as redis:
                    return bool(redis.get("kept") == b"yes")
            except RedisError:
                return False

        up.wait_until(back)

    def test_one_that_keeps_dying_is_started_less_and_less_often(self, start: Start) -> None:
        up = start().ready()
        for deaths, pause in enumerate((0.5, 1, 2), start=1):
            died = time.monotonic()
            up.child("audits").kill()
            up.wait_until(lambda n=deaths: up.told().count("audits started") == n + 1)  # type: ignore[misc]
            assert time.monotonic() - died >= pause
            up.wait_until_it_says(f"audits was killed by SIGKILL; starting it again in {pause:g} s")


class TestEnd:
    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
    def test_the_parts_are_ended_in_order_and_none_is_left(self, start: Start, number: int) -> None:
        up = start(REDIS_URL="").ready()
        children = up.children()
        assert len(children) == 5
        assert up.end(number) == 0
        assert gone(children)
        ended = [line for line in up.told() if line.endswith("ended")]
        assert ended[0] == "api ended"
        assert set(ended[1:3]) == {"audits ended", "trainings ended"}
        assert ended[3:] == ["reconciler ended"]

    def test_a_part_that_does_not_end_is_killed(self, start: Start) -> None:
        up = start("api=stubborn").ready()
        children = up.children()
        assert up.end() == 1
        assert gone(children)
        assert "had to be killed: api." in up.said

    def test_parts_die_with_a_supervisor_that_is_killed(self, start: Start) -> None:
        up = start(REDIS_URL="").ready()
        children = up.children()
        up.process.kill()
        up.process.wait()
        up.wait_until(lambda: gone(children))

    def test_another_one_may_start_after_the_end_or_the_death_of_the_first(
        self, start: Start
    ) -> None:
        first = start().ready()
        first.process.kill()
        first.process.wait()
        second = start()
        second.wait_until_it_says("is ready")
        assert second.end() == 0
        third = start()
        third.wait_until_it_says("is ready")

    def test_a_signal_during_the_start_ends_it_too(self, start: Start) -> None:
        up = start(REDIS_URL="")
        up.wait_until_it_says("is starting")
        assert up.end() == 0


class TestLogs:
    def test_a_log_that_has_grown_large_is_put_aside_while_its_part_goes_on_writing(
        self, settings: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(supervisor, "MOST_LOG_BYTES", 10)
        one = supervisor.Supervisor(settings, [])
        one.logs.mkdir(parents=True)
        with (one.logs / "api.log").open("ab", buffering=0) as log:
            log.write(b"a line of the past\n")
            one._bound_logs()
            log.write(b"new\n")
        assert (one.logs / "api.log").read_text() == "new\n"
        assert (one.logs / "api.log.1").read_text() == "a line of the past\n"
