"""Reports that earlier versions stored: each folder holds what the code of that time wrote."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.audits.report import Report
from app.reports import html, words
from app.reports.material import Material
from models.audit.figure import Figure

STORED = Path(__file__).parent / "stored"
SHAPES = ("audit-core", "intervals")


def material(shape: str) -> Material:
    report = Report.model_validate_json((STORED / shape / "report.json").read_bytes())
    return Material(report, STORED / shape, "http://127.0.0.1:8000/")


def figures(told: Any, path: str = "") -> Iterator[tuple[str, float]]:
    """Every number of a document, with where it stands."""
    if isinstance(told, dict):
        for name, value in told.items():
            yield from figures(value, f"{path}.{name}")
    elif isinstance(told, list):
        for place, value in enumerate(told):
            yield from figures(value, f"{path}.{place}")
    elif isinstance(told, int | float) and not isinstance(told, bool):
        yield path, told


@pytest.mark.parametrize("shape", SHAPES)
class TestEarlierShapes:
    def test_every_figure_is_answered_unchanged(self, shape: str) -> None:
        before = dict(figures(json.loads((STORED / shape / "report.json").read_bytes())))
        after = dict(figures(json.loads(material(shape).report.model_dump_json())))
        assert len(before) > 300
        assert {path: after.get(path) for path in before} == before

    def test_the_page_shows_the_figures_of_every_point(self, shape: str) -> None:
        report = material(shape).report
        page = html.write(material(shape)).decode()
        for point in report.result.curve:
            for name in ("uar", "success_rate", "flip_rate"):
                known = point.measures.get(name)
                plain = words.number(getattr(point, name))
                told = plain if known is None else words.with_interval(known)
                assert f">{told}</td>" in page

    def test_the_page_says_that_nobody_judged_it(self, shape: str) -> None:
        page = html.write(material(shape)).decode()
        assert "not judged" in page
        assert "written before there were checks" in page


class TestIntervals:
    def test_a_figure_without_one_is_told_without(self) -> None:
        one = Figure(value=0.4, interval=None, n=10, n_speakers=None, method="wilson")
        assert words.with_interval(one) == ".40"
