"""`serval artifacts`: files of an audit on this machine."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from app.cli.api import Api
from tests.app.cli.conftest import Serval


@pytest.fixture
def audit(audited: str) -> str:
    return audited


def listed(serval: Serval, audit: str, folder: Path) -> list[dict[str, Any]]:
    """What `serval artifacts` says that it has fetched."""
    said = serval("artifacts", audit, "-o", folder, "--json")
    assert said.status == 0, said.err
    found: list[dict[str, Any]] = json.loads(said.out)
    return found


@pytest.fixture
def ranges(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str | None]]:
    """(name, Range) of every file that is asked for."""
    asked: list[tuple[str, str | None]] = []
    stream = Api.stream

    @contextmanager
    def watched(self: Api, path: str, **given: Any) -> Iterator[Any]:
        asked.append((path.rpartition("/")[2], given["headers"].get("Range")))
        with stream(self, path, **given) as answer:
            yield answer

    monkeypatch.setattr(Api, "stream", watched)
    return asked


class TestArtifacts:
    def test_come_into_a_folder_whole(self, serval: Serval, audit: str, tmp_path: Path) -> None:
        folder = tmp_path / "new" / "folder"
        found = listed(serval, audit, folder)
        assert sorted(path.name for path in folder.iterdir()) == sorted(
            one["name"] for one in found
        )
        assert "uar-curve.png" in {one["name"] for one in found}
        for one in found:
            content = Path(one["path"]).read_bytes()
            assert hashlib.sha256(content).hexdigest() == one["sha256"]

    def test_that_are_there_are_not_fetched_again(
        self, serval: Serval, audit: str, tmp_path: Path, ranges: list[tuple[str, str | None]]
    ) -> None:
        found = listed(serval, audit, tmp_path)
        assert len(ranges) == len(found)
        said = serval("artifacts", audit, "-o", tmp_path)
        assert said.out == f"{len(found)} files are in {tmp_path}.\n"
        assert len(ranges) == len(found)

    def test_that_were_broken_off_go_on(
        self, serval: Serval, audit: str, tmp_path: Path, ranges: list[tuple[str, str | None]]
    ) -> None:
        first, *_ = found = listed(serval, audit, tmp_path)
        path = Path(first["path"])
        content = path.read_bytes()
        path.unlink()
        part = path.with_name(path.name + ".part")
        part.write_bytes(content[:100])
        assert listed(serval, audit, tmp_path) == found
        assert ranges[len(found) :] == [(first["name"], "bytes=100-")]
        assert path.read_bytes() == content
        assert not part.exists()

    def test_a_broken_part_is_thrown_away_and_said(
        self, serval: Serval, audit: str, tmp_path: Path
    ) -> None:
        first, *_ = listed(serval, audit, tmp_path)
        path = Path(first["path"])
        content = path.read_bytes()
        path.unlink()
        path.with_name(path.name + ".part").write_bytes(b"?" * 100)
        said = serval("artifacts", audit, "-o", tmp_path)
        assert said.status == 1
        assert "other content" in said.err
        assert not path.exists()
        listed(serval, audit, tmp_path)
        assert path.read_bytes() == content

    def test_write_over_no_other_file_unless_forced(
        self, serval: Serval, audit: str, tmp_path: Path
    ) -> None:
        folder = tmp_path / "mine"
        folder.mkdir()
        other = folder / "uar-curve.png"
        other.write_text("mine")
        said = serval("artifacts", audit, "-o", folder)
        assert said.status == 1
        assert f"{other} is there already" in said.err
        assert list(folder.iterdir()) == [other]
        assert serval("artifacts", audit, "-o", folder, "--force").status == 0
        assert other.read_bytes() != b"mine"

    @pytest.mark.parametrize("name", ["../up", "/etc/passwd", "a/b", "..", "", ".hidden", "a\x00b"])
    def test_whose_names_lead_elsewhere_are_refused_before_anything_is_written(
        self,
        serval: Serval,
        url: str,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        name: str,
    ) -> None:
        one = {"name": name, "bytes": 1, "sha256": "0" * 64, "expired_at": None}
        monkeypatch.setattr(Api, "pages", lambda *_: iter([one]))
        said = serval("artifacts", "audit_1", "-o", tmp_path / "new")
        assert said.status == 1
        assert "no plain name" in said.err
        assert not (tmp_path / "new").exists()

    def test_of_an_audit_that_is_not_there_are_refused(
        self, serval: Serval, url: str, tmp_path: Path
    ) -> None:
        said = serval("artifacts", "audit_1", "-o", tmp_path / "new")
        assert said.status == 1
        assert "audit_1" in said.err
        assert not (tmp_path / "new").exists()
