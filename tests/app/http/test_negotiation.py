"""Which of the forms on offer an Accept header asks for."""

import pytest

from app.http.negotiation import best

OFFERS = {"json": "application/json", "csv": "text/csv", "stream": "text/event-stream"}


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, "json"),
        ("", "json"),
        (" , ", "json"),
        ("*/*", "json"),
        ("text/csv", "csv"),
        ("TEXT/CSV; charset=utf-8", "csv"),
        ("text/*", "csv"),
        ("text/html, */*;q=0.1", "json"),
        ("application/json;q=0.5, text/csv;q=0.9", "csv"),
    ],
)
def test_the_best_liked(accept: str | None, expected: str) -> None:
    assert best(accept, OFFERS) == expected


@pytest.mark.parametrize("accept", ["text/csv, application/json", "text/csv, */*"])
def test_the_first_named_wins_among_those_liked_as_much(accept: str) -> None:
    assert best(accept, OFFERS) == "csv"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("application/json;q=0, */*", "csv"),
        ("*/*, application/json;q=0", "csv"),
        ("text/*;q=0, */*;q=0.1", "json"),
        ("text/*, text/csv;q=0", "stream"),
        ("*/*;q=0, text/event-stream;q=0.1", "stream"),
        ("*/*, application/json;q=0.5, text/csv;q=0.4", "stream"),
    ],
)
def test_the_most_specific_range_decides(accept: str, expected: str) -> None:
    assert best(accept, OFFERS) == expected


@pytest.mark.parametrize(
    "accept",
    ["text/html", "*/*;q=0", "text/csv;q=0", "text/csv;q=x", "text/csv;q=nan", "text/csv;q=-1"],
)
def test_no_form_is_chosen_where_none_is_liked(accept: str) -> None:
    assert best(accept, OFFERS) is None
