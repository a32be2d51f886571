"""`serval study`: studies from the command line."""

import json
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from app.cli import study_files
from app.cli.errors import CliError
from app.studies import result
from tests.app.cli.conftest import Serval
from tests.app.cli.test_reproduce import ONE, SMALL
from workers.runtime.context import WorkerContext


@pytest.fixture
def study(serval: Serval, url: str, dialogues: Path) -> str:
    """The id of a study that nobody works on."""
    said = serval("reproduce", "--corpus", dialogues, *SMALL, "--name", "Table 2", "--no-wait")
    assert said.status == 0, said.err
    return said.out.strip()


class TestList:
    def test_shows_studies_newest_first(self, serval: Serval, study: str, dialogues: Path) -> None:
        options = ("--corpus", dialogues, *SMALL, "--no-wait")
        newer = serval("reproduce", *options).out.strip()
        said = serval("study", "list")
        assert said.out.index(newer) < said.out.index(study)
        assert "Table 2" in said.out
        listed = json.loads(serval("study", "list", "--json", "--limit", "1").out)
        assert [one["id"] for one in listed] == [newer]

    def test_jobs_list_shows_them_too(self, serval: Serval, study: str) -> None:
        listed = json.loads(serval("jobs", "list", "--kind", "study", "--json").out)
        assert [one["id"] for one in listed] == [study]


class TestShow:
    def test_tells_of_each_cell(self, serval: Serval, study: str) -> None:
        said = serval("study", "show", study)
        assert said.status == 0, said.err
        assert "tiny vanilla alpha=0.4 ε=0.05 seed=0 train" in said.out
        assert "0/2 cells" in said.out
        shown = json.loads(serval("study", "show", study, "--json").out)
        assert [one["training"] is not None for one in shown["cells"]] == [True, True]

    def test_follows_the_pages_of_cells(
        self, serval: Serval, study: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("app.cli.study.PAGE", 1)
        assert len(json.loads(serval("study", "show", study, "--json").out)["cells"]) == 2

    def test_of_another_job_is_refused(self, serval: Serval, url: str) -> None:
        said = serval("study", "show", "audit_1")
        assert said.status == 1
        assert "audit_1" in said.err


class TestCancelAndResume:
    def test_what_is_cancelled_can_be_resumed(self, serval: Serval, study: str) -> None:
        assert serval("study", "cancel", study).out == f"{study} is cancelled.\n"
        assert serval("study", "show", study).status == 0
        assert serval("study", "resume", study).out == f"{study} is running.\n"


class TestAdd:
    def test_joins_the_grid_with_the_parameters_of_the_preset(
        self, serval: Serval, study: str
    ) -> None:
        said = serval("study", "add", study, "--seed", "1", "--training", "similarity", "--json")
        assert said.status == 0, said.err
        asked = json.loads(said.out)["input"]
        assert asked["seeds"] == [0, 1]
        assert asked["trainings"][2]["distance"] == "l2"
        cells = json.loads(serval("study", "show", study, "--json").out)["cells"]
        assert len(cells) == 3 * 2

    def test_of_nothing_is_refused(self, serval: Serval, study: str) -> None:
        said = serval("study", "add", study)
        assert said.status == 1
        assert "--training" in said.err


class TestTables:
    def test_of_a_study_under_way_say_what_is_missing(self, serval: Serval, study: str) -> None:
        said = serval("study", "tables", study)
        assert said.status == 0, said.err
        assert said.out.startswith("# Study on dialogues")
        assert "0 of 2 cells have a model" in said.out

    @pytest.mark.parametrize(
        ("form", "part"), [("latex", "\\begin{"), ("csv", "table,"), ("json", '{"caption"')]
    )
    def test_are_printed_in_other_formats(
        self, serval: Serval, study: str, form: str, part: str
    ) -> None:
        assert part in serval("study", "tables", study, "--format", form).out

    def test_are_written_over_with_force_alone(
        self, serval: Serval, study: str, tmp_path: Path
    ) -> None:
        write = ("study", "tables", study, "--into", tmp_path / "found")
        assert serval(*write).status == 0
        assert "is there already" in serval(*write).err
        assert serval(*write, "--force").status == 0

    def test_wait_while_the_service_makes_those_of_another_study(
        self, serval: Serval, study: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        naps: list[float] = []

        def done_by_now(seconds: float) -> None:
            naps.append(seconds)
            result.MAKING.release()

        clock = SimpleNamespace(sleep=done_by_now, monotonic=time.monotonic)
        monkeypatch.setattr("app.cli.study_files.time", clock)
        assert result.MAKING.acquire(blocking=False)
        said = serval("study", "tables", study)
        assert said.status == 0, said.err
        assert len(naps) == 1

    @pytest.mark.parametrize(
        ("name", "url"),
        [
            ("../.bashrc", "/v1/studies/study_1/figures/a.svg"),
            ("a.svg", "https://elsewhere.example/a.svg"),
            ("a.svg", "/v1/../metrics"),
        ],
    )
    def test_a_figure_that_leads_elsewhere_is_not_fetched(self, name: str, url: str) -> None:
        with pytest.raises(CliError, match="no plain name"):
            study_files._plain({"name": name, "url": url})


class TestFollow:
    def test_ends_with_the_tables(
        self, serval: Serval, worker: WorkerContext, url: str, dialogues: Path
    ) -> None:
        study = serval("reproduce", "--corpus", dialogues, *ONE, "--no-wait").out.strip()
        said = serval("study", "follow", study)
        assert said.status == 0, said.err
        assert said.out.startswith("# Study on dialogues")
        assert "1 of 1 cells have a model" in said.out
        shown = serval("jobs", "show", study)
        assert shown.status == 0, shown.err
        assert (
            f"1 of 1 cells succeeded, 0 of the 1 are reused: `serval study tables {study}`"
            in shown.out
        )

    def test_learns_of_files_in_the_way_before_it_waits(
        self, serval: Serval, study: str, tmp_path: Path
    ) -> None:
        (tmp_path / "tables.md").write_text("of last week")
        said = serval("study", "follow", study, "--into", tmp_path)
        assert said.status == 1
        assert "tables.md is there already" in said.err
