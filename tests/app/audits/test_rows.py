"""Rows as lines of a file, as pages and as CSV."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from app.audits import formats
from app.audits.formats import ROWS, chosen, csv_lines, page
from app.audits.rows import read_rows, write_index
from app.errors import NotAcceptable
from models.attacks import Attack, parse
from models.audit import AuditRow
from models.audit.evidence import CostSpent, SmallestStrength
from tests.app.audits.conftest import (
    ATTACKS,
    as_lines,
    attacked,
    found_result,
    found_rows,
    prediction,
)


class TestReadRows:
    def test_what_is_written_is_read_again(self, tmp_path: Path) -> None:
        path = tmp_path / "rows.jsonl"
        path.write_bytes(as_lines(found_rows()))
        assert [AuditRow.model_validate(row) for row in read_rows(path)] == found_rows()

    def test_rows_are_read_from_any_number_on(self, tmp_path: Path) -> None:
        path = tmp_path / "rows.jsonl"
        path.write_bytes(as_lines(found_rows()[:5]))
        assert [row["index"] for row in read_rows(path, 3)] == [3, 4]

    def test_with_an_index_what_comes_before_is_not_read(self, tmp_path: Path) -> None:
        path = tmp_path / "rows.jsonl"
        lines = [b'{"index": %d, "clip": "%b"}\n' % (n, "é".encode() * n) for n in range(5)]
        path.write_bytes(b"".join(lines))
        write_index(path)
        for start in range(6):
            assert [row["index"] for row in read_rows(path, start)] == list(range(start, 5))
        before = sum(map(len, lines[:3]))
        path.write_bytes(b"#" * before + b"".join(lines[3:]))
        assert [row["index"] for row in read_rows(path, 3)] == [3, 4]

    def test_where_rows_are_left_out_the_next_one_is_read(self, tmp_path: Path) -> None:
        path = tmp_path / "rows.jsonl"
        kept = [2, 3, 7]
        path.write_bytes(b"".join(b'{"index":%d,"clip":"x"}\n' % n for n in kept))
        write_index(path)
        for start in range(9):
            found = [row["index"] for row in read_rows(path, start)]
            assert found == [n for n in kept if n >= start]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The file of twelve rows."""
    path = tmp_path / "rows.jsonl"
    path.write_bytes(as_lines(found_rows()))
    write_index(path)
    return path


class TestPage:
    @pytest.mark.parametrize(("rows", "lengths"), [(0, [1] * 12), (1, [1] * 12), (5, [5, 5, 2])])
    def test_ends_before_it_is_too_large_and_the_next_one_goes_on(
        self, path: Path, monkeypatch: pytest.MonkeyPatch, rows: int, lengths: list[int]
    ) -> None:
        longest = max(map(len, path.read_bytes().splitlines(keepends=True)))
        monkeypatch.setattr(formats, "PAGE_BYTES", rows * longest)
        pages = [json.loads(page(path, None, 100))]
        while pages[-1]["has_more"]:
            pages.append(json.loads(page(path, pages[-1]["data"][-1]["index"], 100)))
        assert [len(one["data"]) for one in pages] == lengths
        found = [row for one in pages for row in one["data"]]
        assert found == list(read_rows(path))

    @pytest.mark.parametrize(
        ("after", "limit", "indices", "has_more"),
        [
            (None, 11, range(11), True),
            (None, 12, range(12), False),
            (9, 1, range(10, 11), True),
            (9, 2, range(10, 12), False),
            (11, 5, range(0), False),
        ],
    )
    def test_has_the_rows_that_are_asked_for(
        self, path: Path, after: int | None, limit: int, indices: range, has_more: bool
    ) -> None:
        got = json.loads(page(path, after, limit))
        assert got["object"] == "list"
        assert [row["index"] for row in got["data"]] == [*indices]
        assert got["has_more"] is has_more


def table(
    tmp_path: Path, rows: Sequence[AuditRow], attacks: Sequence[Attack] = ATTACKS
) -> list[dict[str, str]]:
    """The CSV of these rows, line by line."""
    path = tmp_path / "rows.jsonl"
    path.write_bytes(as_lines(rows))
    text = "".join(csv_lines(path, found_result(rows, attacks).attacks))
    return list(csv.DictReader(io.StringIO(text, newline="")))


class TestCsvLines:
    def test_come_in_pieces_of_few_bytes_however_long_a_row_is(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        told = found_result(found_rows()).attacks
        (whole,) = csv_lines(path, told)
        longest = max(map(len, whole.splitlines(keepends=True)))
        monkeypatch.setattr(formats, "CHUNK_CHARACTERS", 3 * longest)
        pieces = list(csv_lines(path, told))
        assert "".join(pieces) == whole
        assert max(map(len, pieces)) < 4 * longest
        assert len(pieces) <= len(whole) / longest / 3 + 1

    def test_parameters_of_all_attacks_are_columns(self, tmp_path: Path) -> None:
        attacks = (
            parse({"type": "fgsm", "epsilon": [0.1], "clip": 0.2}),
            parse({"type": "pgd", "epsilon": [0.1], "steps": 7, "goal": {"label": "joy"}}),
        )
        fgsm, pgd, *_ = table(tmp_path, found_rows(attacks), attacks)
        assert (fgsm["type"], pgd["type"]) == ("fgsm", "pgd")
        assert (fgsm["attack:clip"], pgd["attack:clip"]) == ("0.2", "")
        assert (fgsm["attack:steps"], pgd["attack:steps"]) == ("", "7")
        assert (fgsm["attack:goal"], pgd["attack:goal"]) == ("untargeted", '{"label": "joy"}')
        assert {"attack:norm", "attack:labels", "attack:restarts"} <= fgsm.keys()

    def test_whether_it_succeeded_is_open_where_the_model_was_wrong(self, tmp_path: Path) -> None:
        row = found_rows()[1]
        wrong = row.attacked[0].model_copy(update={"success": None})
        lines = table(tmp_path, [row.model_copy(update={"attacked": [wrong]})])
        assert [line["success"] for line in lines] == [""]

    def test_a_smallest_strength_stands_at_its_attack(self, tmp_path: Path) -> None:
        attacks = (*ATTACKS, parse({"type": "pgd", "epsilon": [0.1], "minimum": True}))
        (row, *_) = found_rows(attacks)
        spent = CostSpent(forwards=2, backwards=1, queries=0)
        row = row.model_copy(
            update={"minimum": [SmallestStrength(attack=1, strength=0.07, cost=spent)]}
        )
        assert [line["minimum"] for line in table(tmp_path, [row], attacks)] == ["", "", "0.07"]

    def test_what_else_an_attack_says_is_json(self, tmp_path: Path) -> None:
        details: dict[str, Any] = {"target": "joy", "tries": [1, 2]}
        said = attacked(prediction(1, 0.2, 0.3, 0.5), 0.1, success=False, details=details)
        row = found_rows()[1].model_copy(update={"attacked": [said]})
        (line,) = table(tmp_path, [row])
        assert json.loads(line["details"]) == details


class TestChosen:
    @pytest.mark.parametrize(
        ("accept", "expected"),
        [
            (None, "json"),
            ("*/*", "json"),
            ("", "json"),
            ("text/csv", "csv"),
            ("text/*", "csv"),
            ("application/x-ndjson, application/json;q=0.5", "ndjson"),
            ("application/json;q=0.5, TEXT/CSV; q=0.9", "csv"),
            ("text/html, */*;q=0.1", "json"),
        ],
    )
    def test_the_best_liked_that_there_is(self, accept: str | None, expected: str) -> None:
        assert chosen(accept, ROWS) == expected

    @pytest.mark.parametrize("accept", ["text/html", "text/csv;q=0", "text/csv;q=x"])
    def test_nothing_that_there_is(self, accept: str) -> None:
        with pytest.raises(NotAcceptable):
            chosen(accept, ROWS)
