"""`serval report`: a report as a file, whole or not at all."""

import json
from pathlib import Path

import pytest

from tests.app.cli.conftest import Serval


class TestReport:
    def test_is_written_in_the_form_that_the_name_ends_with(
        self, serval: Serval, audited: str, tmp_path: Path
    ) -> None:
        path = tmp_path / "found.json"
        said = serval("report", audited, "-o", path)
        assert said.status == 0, said.err
        assert json.loads(path.read_text())["audit"] == audited
        assert (said.out, said.err) == ("", f"{path}\n")
        assert serval("verify", path).status == 0

    def test_goes_to_standard_output(self, serval: Serval, audited: str) -> None:
        said = serval("report", audited, "--format", "json", "-o", "-")
        assert json.loads(said.out)["audit"] == audited

    def test_is_named_for_the_audit_if_no_file_is_given(
        self, serval: Serval, audited: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        assert serval("report", audited, "--format", "json").status == 0
        assert sorted(path.name for path in tmp_path.glob("audit_*")) == [
            f"{audited}.json",
            f"{audited}.json.sig",
        ]

    def test_writes_over_nothing_unless_forced(
        self, serval: Serval, audited: str, tmp_path: Path
    ) -> None:
        path = tmp_path / "found.json"
        path.write_text("mine")
        said = serval("report", audited, "-o", path)
        assert said.status == 1
        assert f"{path} is there already" in said.err
        assert path.read_text() == "mine"
        assert serval("report", audited, "-o", path, "--force").status == 0
        assert json.loads(path.read_text())["audit"] == audited

    def test_that_cannot_be_had_leaves_nothing(
        self, serval: Serval, url: str, tmp_path: Path
    ) -> None:
        folder = tmp_path / "reports"
        folder.mkdir()
        said = serval("report", "audit_1", "-o", folder / "found.json")
        assert said.status == 1
        assert "audit_1" in said.err
        assert list(folder.iterdir()) == []

    def test_that_cannot_be_written_is_named(
        self, serval: Serval, audited: str, tmp_path: Path
    ) -> None:
        said = serval("report", audited, "-o", tmp_path / "nowhere" / "found.json")
        assert said.status == 1
        assert "found.json cannot be written" in said.err

    @pytest.mark.parametrize("audit", ["../models", "a/b", "", "."])
    def test_of_what_is_no_id_is_refused(self, serval: Serval, audit: str) -> None:
        said = serval("report", audit, "--format", "json", "-o", "-")
        assert said.status == 1
        assert "is no id" in said.err
