"""`serval reproduce`: from a folder of recordings to tables and figures, with real trainings."""

import json
from pathlib import Path
from typing import Any, Final

import pytest

from models.studies.trainings import STUDY_TRAININGS
from tests.app.cli.conftest import Serval, Strings
from workers.runtime.context import WorkerContext

ONE: Final = (
    "--architecture", "tiny", "--training", "single", "--epsilon", ".05", "--iterations", "2",
    "--train-on", "train", "--set", "batch_size=2", "--set", "frames=32", "--no-transfer",
    "--attack", "fgsm epsilon=.05", "--attack", "noise",
)  # fmt: skip
"""One training of a moment."""
SMALL: Final = ("--training", "vanilla alpha=.4", *ONE)
"""Two of them."""


@pytest.fixture
def ask(dialogues: Path) -> Strings:
    return ("reproduce", "--corpus", str(dialogues), *SMALL)


class TestReproduce:
    def test_a_folder_becomes_tables_and_again_takes_what_is_there(
        self, serval: Serval, worker: WorkerContext, url: str, ask: Strings, tmp_path: Path
    ) -> None:
        folder = tmp_path / "found"
        said = serval(*ask, "--into", folder)
        assert said.status == 0, said.err
        assert "cell done  tiny single seed=0 train" in said.err
        assert "cell done  tiny vanilla alpha=0.4 ε=0.05 seed=0 train" in said.err
        written = {path.name for path in folder.iterdir()}
        assert written >= {"tables.md", "tables.tex", "tables.csv", "tables.json"}
        assert any(name.endswith(".svg") for name in written)
        picture = next(name for name in written if name.endswith(".png"))
        assert (folder / picture).read_bytes().startswith(b"\x89PNG")
        assert "batch\\_size" in (folder / "tables.md").read_text()  # a deviation of the preset
        assert json.loads((folder / "tables.json").read_text())["performance"]
        assert said.out == ""
        again = serval(*ask)
        assert again.status == 0, again.err
        assert "which is called dialogues, is taken for" in again.err
        assert "cell done  tiny single seed=0 train  reused" in again.err
        assert again.out == (folder / "tables.md").read_text()

    def test_json_is_one_document_as_the_service_has_it(
        self, serval: Serval, url: str, ask: Strings
    ) -> None:
        options = ("--name", "Table 2", "--limit", "2", "--no-wait", "--json")
        study = json.loads(serval(*ask, *options).out)
        asked = study["input"]
        assert (study["object"], study["status"]) == ("study", "running")
        assert (asked["preset"], asked["name"], asked["limit"]) == (
            "icassp2020-paper",
            "Table 2",
            2,
        )
        assert asked["recipe"]["frames"] == 32
        assert asked["recipe"]["decay_every"] == 100
        assert [one["type"] for one in asked["audits"]] == ["fgsm", "noise"]

    def test_a_preset_of_audits_and_none_of_trainings(
        self, serval: Serval, url: str, dialogues: Path
    ) -> None:
        small = SMALL[: SMALL.index("--attack")]
        options = ("--audits", "quick", "--preset", "none", "--no-wait", "--json")
        said = serval("reproduce", "--corpus", dialogues, *small, *options)
        asked = json.loads(said.out)["input"]
        assert (asked["audits"], asked["preset"]) == ("quick", None)
        assert asked["recipe"]["front_end"] == "logmel-2"  # as of any training

    def test_a_dry_run_tells_what_it_would_take_and_begins_nothing(
        self, serval: Serval, url: str, ask: Strings, dialogues: Path
    ) -> None:
        said = serval(*ask, "--dry-run")
        assert (said.status, "no corpus is called dialogues" in said.err) == (1, True)
        serval("corpus", "add", dialogues)
        said = serval(*ask, "--dry-run")
        assert said.status == 0, said.err
        assert said.out.startswith("2 trainings, of which 0 are there; 4 iterations, no training")
        assert said.out.endswith("; 4 audits, whose time is not in it\n")
        assert json.loads(serval("study", "list", "--json").out) == []

    @pytest.mark.parametrize(
        ("succeeded", "words"),
        [
            (1, "1 of 2 cells did not come to their end"),
            (2, "All 2 cells came to their end, but 1 audits by way of other models did not"),
        ],
        ids=["a cell", "an audit by way of others"],
    )
    def test_what_failed_is_named_and_ends_with_1(
        self, serval: Serval, url: str, ask: Strings, monkeypatch: pytest.MonkeyPatch,
        succeeded: int, words: str,
    ) -> None:  # fmt: skip
        errors = [{"code": "diverged", "message": "the loss is NaN"}]
        part = {"cell": "tiny single seed=0 train", "status": "failed", "errors": errors}
        counts = {"cells": 2, "succeeded": succeeded, "unfinished": [part]}
        have_it_end(monkeypatch, {"status": "succeeded", "result": counts})
        said = serval(*ask)
        assert said.status == 1
        assert words in said.err
        assert "tiny single seed=0 train: the loss is NaN" in said.err
        assert "serval reproduce --resume study_" in said.err
        assert said.out.startswith("# Study on")

    def test_of_a_study_that_failed_what_there_is_is_written(
        self, serval: Serval, url: str, ask: Strings, monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
    ) -> None:  # fmt: skip
        error = {"code": "no_cell_succeeded", "message": "None of the 2 cells came to its end."}
        have_it_end(monkeypatch, {"status": "failed", "error": error})
        said = serval(*ask, "--into", tmp_path / "found")
        assert said.status == 1
        assert "failed: None of the 2 cells came to its end. (no_cell_succeeded)" in said.err
        assert (tmp_path / "found" / "tables.md").is_file()


def have_it_end(monkeypatch: pytest.MonkeyPatch, values: dict[str, Any]) -> None:
    """Have whoever follows a study see it end like that."""

    def ended(_api: object, study: dict[str, Any], **_: object) -> dict[str, Any]:
        return study | values

    monkeypatch.setattr("app.cli.study_following.follow", ended)


class TestResume:
    def test_does_what_was_cancelled(
        self,
        serval: Serval,
        url: str,
        dialogues: Path,
        request: pytest.FixtureRequest,
        tmp_path: Path,
    ) -> None:
        study = serval("reproduce", "--corpus", dialogues, *ONE, "--no-wait").out.strip()
        assert serval("study", "cancel", study).status == 0
        request.getfixturevalue("worker")
        said = serval("reproduce", "--resume", study, "--into", tmp_path / "found")
        assert said.status == 0, said.err
        assert "cell done" in said.err
        assert (tmp_path / "found" / "tables.tex").is_file()

    def test_takes_no_other_grid(self, serval: Serval, url: str) -> None:
        said = serval("reproduce", "--resume", "study_1", "--epsilon", ".1")
        assert said.status == 1
        assert "--epsilon cannot be changed" in said.err
        assert "serval study add" in said.err

    def test_has_no_dry_run_and_stays_as_it_is(
        self, serval: Serval, url: str, dialogues: Path
    ) -> None:
        study = serval("reproduce", "--corpus", dialogues, *ONE, "--no-wait").out.strip()
        serval("study", "cancel", study)
        said = serval("reproduce", "--resume", study, "--dry-run")
        assert said.status == 1
        assert "--dry-run is of a study to come" in said.err
        assert json.loads(serval("study", "show", study, "--json").out)["status"] == "cancelled"


class TestRefusals:
    @pytest.mark.parametrize("option", ["--no-wait", "--dry-run"])
    def test_a_folder_into_which_nothing_would_be_written(
        self, serval: Serval, url: str, ask: Strings, tmp_path: Path, option: str
    ) -> None:
        said = serval(*ask, "--into", tmp_path / "found", option)
        assert said.status == 1
        assert f"{option} and --into do not go together" in said.err
        assert json.loads(serval("corpus", "list", "--json").out) == []

    def test_neither_a_corpus_nor_a_study(self, serval: Serval, url: str) -> None:
        assert "--corpus, or --resume" in serval("reproduce").err

    def test_files_in_the_way_before_anything_is_uploaded(
        self, serval: Serval, url: str, ask: Strings, tmp_path: Path
    ) -> None:
        (tmp_path / "tables.csv").write_text("of last week")
        said = serval(*ask, "--into", tmp_path)
        assert said.status == 1
        assert "tables.csv is there already" in said.err
        assert json.loads(serval("corpus", "list", "--json").out) == []

    def test_two_ways_to_choose_the_audits(self, serval: Serval, url: str, ask: Strings) -> None:
        said = serval(*ask, "--audits", "quick")
        assert said.status == 1
        assert "give one" in said.err

    def test_a_parameter_that_does_not_hold_with_its_field(
        self, serval: Serval, url: str, ask: Strings
    ) -> None:
        said = serval(*ask, "--training", "similarity beta=.8")
        assert said.status == 1
        assert "trainings.2.gamma" in said.err
        assert "beta + gamma is 1.2" in said.err

    def test_an_unknown_field_of_the_trainings(
        self, serval: Serval, url: str, ask: Strings
    ) -> None:
        assert "'frame' is no field of a training" in serval(*ask, "--set", "frame=64").err


def test_the_help_lists_presets_trainings_and_what_they_take(serval: Serval) -> None:
    said = serval("reproduce", "--help").out
    for name in (*STUDY_TRAININGS, "icassp2020-paper", "cnn4", "standard"):
        assert f"  {name}: " in said
    assert "kind [sign]" in said
