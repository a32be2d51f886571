"""Rows as lines of a file, and back."""

import json
from pathlib import Path

import pytest

from app.audits.formats import ROWS, chosen
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
