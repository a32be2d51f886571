"""`serval migrate`, `serval health` and `serval doctor`."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import create_engine, inspect

from app.migrations import head
from app.operations import doctor
from app.operations.heartbeat import Heartbeats
from app.settings import Settings
from tests.app.cli.conftest import Serval


class TestMigrate:
    def test_it_brings_an_empty_database_up_to_date_and_does_so_again(
        self, serval: Serval, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        url = f"sqlite:///{tmp_path}/new.db"
        monkeypatch.setenv("DATABASE_URL", url)
        said = [serval("migrate") for _ in range(2)]
        assert [one.status for one in said] == [0, 0], said[0].err
        assert said[0].out == f"DATABASE_URL is '{url}', at revision {head()}.\n"
        engine = create_engine(url)
        assert "jobs" in inspect(engine).get_table_names()
        engine.dispose()

    def test_a_database_that_does_not_open_is_one_line(
        self, serval: Serval, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("DATABASE_URL", "sqlite:////absent/folder/x.db")
        said = serval("migrate")
        assert said.status == 1
        assert said.err.startswith("DATABASE_URL is 'sqlite:////absent/folder/x.db'")
        assert said.err.count("\n") == 1


class TestHealth:
    @pytest.mark.parametrize("process", ["audits", "trainings", "reconciler"])
    def test_a_background_process_is_healthy_while_its_file_is_fresh(
        self, serval: Serval, settings: Settings, process: str
    ) -> None:
        settings.data_dir.mkdir()
        before = serval("health", process)
        Heartbeats.of(settings, process).mine().beat()
        after = serval("health", process)
        assert (before.status, after.status) == (1, 0)
        assert before.err.startswith(f"{process}: there is no ")
        assert before.err.count("\n") == 1
        assert after.out == f"{process}: healthy\n"

    def test_the_api_is_asked(
        self, serval: Serval, url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SERVAL_PORT", url.rpartition(":")[2])
        said = serval("health", "api")
        assert (said.status, said.out) == (0, "api: healthy\n")

    def test_an_api_that_does_not_listen_is_not_healthy(
        self, serval: Serval, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SERVAL_PORT", "1")
        said = serval("health", "api")
        assert said.status == 1
        assert said.err.startswith("api: http://127.0.0.1:1/healthz does not answer")

    @pytest.mark.parametrize(
        ("arguments", "port", "told"),
        [
            (("health", "api"), "many", "SERVAL_PORT is 'many'"),
            (("health", "api"), "65536", "SERVAL_PORT is '65536'"),
            (("health", "database"), "1", "'database' is not one of 'api'"),
        ],
    )
    def test_what_it_cannot_ask_is_named(
        self,
        serval: Serval,
        monkeypatch: pytest.MonkeyPatch,
        arguments: tuple[str, str],
        port: str,
        told: str,
    ) -> None:
        monkeypatch.setenv("SERVAL_PORT", port)
        said = serval(*arguments)
        assert said.status != 0
        assert told in said.err

    def test_it_imports_nothing_beyond_the_standard_library(self, tmp_path: Path) -> None:
        """Containers are checked every few seconds, and pydantic alone takes a quarter of one."""
        program = (
            "import sys\n"
            "before = set(sys.modules)\n"
            "from app.cli import main\n"
            "sys.argv = ['serval', 'health', 'audits']\n"
            "try:\n"
            "    main()\n"
            "finally:\n"
            "    new = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
            "    print(*(new - sys.stdlib_module_names))\n"
        )
        environment = {"SERVAL_DATA_DIR": str(tmp_path), "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-c", program]
        ended = subprocess.run(
            command, env=environment, capture_output=True, text=True, check=False
        )
        assert ended.stderr.startswith("audits: there is no ")
        assert (ended.returncode, ended.stdout) == (1, "app\n")


class TestDoctor:
    PARTS = ("database", "queue", "storage", "device", "models", "disk", "clock")

    def test_each_part_is_told_and_a_healthy_service_is_0(
        self, serval: Serval, monkeypatch: pytest.MonkeyPatch, settings: Settings
    ) -> None:
        monkeypatch.setenv("REDIS_URL", settings.redis_url)
        monkeypatch.setattr(doctor, "LEAST_FREE_BYTES", 1)
        said = serval("doctor", "--json")
        found = json.loads(said.out)
        assert [one["part"] for one in found] == list(self.PARTS)
        assert [one for one in found if not one["ok"]] == []
        assert said.status == 0
        assert "0 of audits, 0 of trainings" in found[1]["about"]

    def test_one_that_fails_is_1_and_the_table_says_why(
        self, serval: Serval, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("REDIS_URL", "redis://:hush@127.0.0.1:1/0")
        monkeypatch.setattr(doctor, "LEAST_FREE_BYTES", 2**80)
        said = serval("doctor")
        assert said.status == 1
        lines = {line.split()[0]: line for line in said.out.splitlines() if line.split()}
        assert set(self.PARTS) <= lines.keys()
        assert lines["queue"].split()[1:3] == ["FAILS", "REDIS_URL"]
        assert "make room for SERVAL_DATA_DIR" in lines["disk"]
        assert "hush" not in said.out
