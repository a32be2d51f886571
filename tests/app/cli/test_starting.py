"""`serval serve`, `up`, `worker` on a machine that is not as they need it: one line says why."""

from pathlib import Path

import pytest
import torch
from sqlalchemy import text
from sqlalchemy.orm import Session

from app.migrations import head
from tests.app.cli.conftest import Serval


class TestStarting:
    def test_the_data_folder_is_made_first_on_a_fresh_machine(
        self, serval: Serval, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.delenv("DATABASE_URL")
        monkeypatch.setenv("SERVAL_DATA_DIR", str(tmp_path / "not" / "there"))
        said = serval("serve", "--host", "0.0.0.0", "--port", "0")
        assert said.status == 1
        assert "serval keys create" in said.err  # it has looked into the new database

    @pytest.mark.parametrize("command", ["serve", "up"])
    @pytest.mark.parametrize(
        ("name", "value", "told"),
        [
            ("SERVAL_DEVICE", "gpu", "SERVAL_DEVICE is 'gpu': give auto"),
            ("REDIS_URL", "http://x", "REDIS_URL is 'http://x': give redis://"),
            ("DATABASE_URL", "what", "DATABASE_URL is 'what': give sqlite:///FILE"),
            (
                "DATABASE_URL",
                "postgresql://serval:hush@127.0.0.1:1/x",
                "DATABASE_URL is 'postgresql://…@127.0.0.1:1/x', and the database there",
            ),
            (
                "DATABASE_URL",
                "sqlite:////absent/folder/x.db",
                "DATABASE_URL is 'sqlite:////absent/folder/x.db', and the database there",
            ),
        ],
    )
    def test_what_it_cannot_use_is_named_in_one_line(
        self,
        serval: Serval,
        monkeypatch: pytest.MonkeyPatch,
        command: str,
        name: str,
        value: str,
        told: str,
    ) -> None:
        monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1/0")
        monkeypatch.setenv(name, value)
        said = serval(command, "--host", "0.0.0.0", "--port", "0")
        assert said.status == 1
        assert said.err.startswith(told)
        assert said.err.count("\n") == 1
        assert "hush" not in said.err

    def test_a_folder_that_cannot_be_written_is_named(
        self, serval: Serval, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        (tmp_path / "file").touch()
        monkeypatch.setenv("SERVAL_DATA_DIR", str(tmp_path / "file"))
        said = serval("serve", "--port", "0")
        assert said.status == 1
        assert said.err.startswith(f"SERVAL_DATA_DIR is '{tmp_path}/file', which cannot be written")

    @pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
    def test_a_device_that_is_not_there_is_named(
        self, serval: Serval, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SERVAL_DEVICE", "cuda:3")
        said = serval("serve", "--port", "0")
        assert said.status == 1
        assert "SERVAL_DEVICE is 'cuda:3', and this machine has no CUDA device" in said.err

    def test_a_database_of_a_newer_version_is_named(self, serval: Serval, session: Session) -> None:
        session.execute(text("UPDATE alembic_version SET version_num = 'from the future'"))
        session.commit()
        said = serval("keys", "list")
        assert said.status == 1
        assert "is of a newer version of this program" in said.err
        session.execute(text("UPDATE alembic_version SET version_num = :head"), {"head": head()})
        session.commit()
