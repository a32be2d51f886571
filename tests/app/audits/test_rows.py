"""Rows as lines of a file, and back."""

import json
from pathlib import Path

import pytest

from app.audits import formats
from app.audits.formats import ROWS, chosen, csv_lines, page
from app.audits.rows import RowFormat, line, read_rows, write_index
from app.errors import NotAcceptable
from models.audit import Attack, Outcome, Row
from tests.app.audits.conftest import ATTACK, LABELS, found_rows

FORMAT = RowFormat(LABELS, [ATTACK])


class TestRowFormat:
    def test_what_is_written_is_read_again(self) -> None:
        for number, row in enumerate(found_rows()):
            text = line(FORMAT.to_json(number, "x", row))
            assert FORMAT.from_json(json.loads(text)) == row

    def test_a_row_of_other_attacks_is_refused(self) -> None:
        value = RowFormat(LABELS, [Attack((0.0, 0.2))]).to_json(0, "x", found_rows()[0])
        with pytest.raises(ValueError, match="other attacks"):
            FORMAT.from_json(value)

    def test_whether_an_attack_had_a_gradient_is_read_again(self) -> None:
        outcome = Outcome(1, (0.2, 0.5, 0.3))
        row = Row(1, outcome, (outcome, Outcome(1, (0.2, 0.5, 0.3), no_gradient=True)))
        value = json.loads(line(FORMAT.to_json(0, "x", row)))
        assert [one["no_gradient"] for one in value["adversarial"]] == [False, True]
        assert FORMAT.from_json(value) == row

    def test_a_row_that_does_not_tell_it_is_scored_again(self) -> None:
        value = FORMAT.to_json(0, "x", found_rows()[0])
        del value["adversarial"][1]["no_gradient"]
        with pytest.raises(KeyError):
            FORMAT.from_json(value)

    def test_success_is_open_where_the_model_was_wrong(self) -> None:
        value = FORMAT.to_json(0, "x", found_rows()[2])
        assert [one["success"] for one in value["adversarial"]] == [False, False]
        value["label"] = "anger"
        again = FORMAT.to_json(0, "x", FORMAT.from_json(value))
        assert [one["success"] for one in again["adversarial"]] == [None, None]

    def test_rows_are_read_from_any_number_on(self, tmp_path: Path) -> None:
        path = tmp_path / "rows.jsonl"
        path.write_bytes(b"".join(line({"index": number}) for number in range(5)))
        assert [row["index"] for row in read_rows(path, 3)] == [3, 4]

    def test_with_an_index_what_comes_before_is_not_read(self, tmp_path: Path) -> None:
        path = tmp_path / "rows.jsonl"
        lines = [line({"index": number, "clip": "é" * number}) for number in range(5)]
        path.write_bytes(b"".join(lines))
        write_index(path)
        for start in range(6):
            assert [row["index"] for row in read_rows(path, start)] == list(range(start, 5))
        before = sum(map(len, lines[:3]))
        path.write_bytes(b"#" * before + b"".join(lines[3:]))
        assert [row["index"] for row in read_rows(path, 3)] == [3, 4]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The file of twelve rows."""
    path = tmp_path / "rows.jsonl"
    rows = enumerate(found_rows())
    path.write_bytes(b"".join(line(FORMAT.to_json(number, "x", row)) for number, row in rows))
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


class TestCsvLines:
    def test_come_in_pieces_of_few_bytes_however_long_a_row_is(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (whole,) = csv_lines(path)
        longest = max(map(len, whole.splitlines(keepends=True)))
        monkeypatch.setattr(formats, "CHUNK_CHARACTERS", 3 * longest)
        pieces = list(csv_lines(path))
        assert "".join(pieces) == whole
        assert max(map(len, pieces)) < 4 * longest
        assert len(pieces) <= len(whole) / longest / 3 + 1


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
