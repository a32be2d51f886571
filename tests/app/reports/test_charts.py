"""Charts: the picture and its table say the same, in black and white too."""

import itertools
import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence

import pytest

from app.reports import charts, words
from app.reports.charts import Chart
from app.reports.charts.canvas import Style, fitting, width_of
from app.reports.charts.curves import chance
from app.reports.charts.plot import spread
from app.reports.charts.strengths import StrengthAxis
from models.attacks import parse
from models.corruptions import parse as corruption
from tests.app.reports.made import made

NAMESPACE = "{http://www.w3.org/2000/svg}"
REPORT = made().report
RESULT = REPORT.result


def all_of_them() -> list[Chart]:
    recall = charts.recalls(RESULT, REPORT.groups)
    assert recall is not None
    return [
        *charts.curves(RESULT),
        *charts.flip_matrices(RESULT),
        *charts.confusion(RESULT),
        *charts.gaps(RESULT),
        *charts.groups(RESULT, REPORT.groups),
        *charts.survival(RESULT),
        recall,
    ]


CHARTS = all_of_them()


def texts(chart: Chart) -> list[str]:
    return [one.text or "" for one in ET.fromstring(chart.svg).iter(f"{NAMESPACE}text")]


@pytest.mark.parametrize("chart", CHARTS, ids=[chart.name for chart in CHARTS])
class TestEveryChart:
    def test_is_a_document_with_title_and_description(self, chart: Chart) -> None:
        for drawn in (chart.svg, chart.narrow):
            svg = ET.fromstring(drawn)
            title, described = svg[0], svg[1]
            assert (title.tag, described.tag) == (f"{NAMESPACE}title", f"{NAMESPACE}desc")
            assert title.text == chart.title
            assert svg.get("aria-labelledby") == f"{title.get('id')} {described.get('id')}"

    def test_has_no_style_no_script_and_asks_for_nothing(self, chart: Chart) -> None:
        for drawn in (chart.svg, chart.narrow):
            assert not re.search(r"\bstyle|<script|href|url\(|@import", drawn)

    def test_has_a_table_with_a_cell_for_each_column(self, chart: Chart) -> None:
        assert chart.table.rows
        assert {len(row) for row in chart.table.rows} == {len(chart.table.columns)}

    def test_stays_inside_its_edges(self, chart: Chart) -> None:
        for drawn in (chart.svg, chart.narrow):
            svg = ET.fromstring(drawn)
            width, height = (float(svg.get(name) or 0) for name in ("width", "height"))
            for one in svg.iter(f"{NAMESPACE}text"):
                assert 0 <= float(one.get("x") or -1) <= width
                assert 0 <= float(one.get("y") or -1) <= height


class TestNames:
    def test_are_of_one_chart_each(self) -> None:
        names = [chart.name for chart in CHARTS]
        assert len(names) == len(set(names))


class TestCurves:
    def test_there_is_one_for_each_threat_model_and_unit(self) -> None:
        assert [chart.title for chart in charts.curves(RESULT)] == [
            "UAR against strength: log-mels, L∞",
            "UAR against strength: waveform, L2",
            "UAR against strength: corruptions in dB",
        ]

    def test_the_table_has_every_point_with_its_interval(self) -> None:
        rows = {row[:2]: row[2:] for row in charts.curves(RESULT)[0].table.rows}
        for point in RESULT.curve[:15]:
            figure = point.measures["uar"]
            name = words.attack_names(RESULT.attacks)[point.attack]
            assert rows[name, f"{point.strength:g} σ"] == (
                words.number(figure.value),
                words.interval(figure),
                "48",
                "12",
            )
        case = RESULT.worst_case[0]
        assert rows["worst case", "0.02 σ"][0] == words.number(case.uar)

    def test_names_stand_at_the_lines_and_chance_and_n_beside_them(self) -> None:
        told = texts(charts.curves(RESULT)[0])
        assert {"worst case", "fgsm", "pgd, steps 10", "noise", "chance .17"} <= set(told)
        assert "n = 48 clips, 12 speakers; bands and bars: 95 % intervals" in told

    def test_worst_case_and_control_have_bands_and_attacks_bars(self) -> None:
        svg = ET.fromstring(charts.curves(RESULT)[0].svg)
        bands = [one for one in svg.iter() if (one.get("class") or "").startswith("b")]
        assert len(bands) == 2
        whiskers = [one for one in svg.iter(f"{NAMESPACE}line") if one.get("stroke-width") == "1.1"]
        assert len(whiskers) == 2 * 5 * 3  # two attacks, five strengths, a line and two caps

    def test_no_two_series_look_alike_without_colour(self) -> None:
        styles = [Style.of(number) for number in range(12)]
        styles += [Style.of(number, control=True) for number in range(8)]
        assert len({(one.mark, one.dash, one.filled) for one in styles}) == len(styles)

    def test_a_model_at_one_point_is_drawn(self) -> None:
        attacks = (parse({"type": "fgsm", "epsilon": [0.1]}),)
        (chart,) = charts.curves(made(6, attacks=attacks).report.result)
        assert "fgsm" in texts(chart)

    def test_a_gain_has_the_clips_as_they_are_in_the_middle(self) -> None:
        attacks = (corruption({"type": "gain", "db": [-20.0, 6.0]}),)
        (chart,) = charts.curves(made(6, attacks=attacks).report.result)
        svg = ET.fromstring(chart.svg)
        line = next(one for one in svg.iter(f"{NAMESPACE}polyline") if one.get("class") == "c1")
        places = [float(point.split(",")[0]) for point in (line.get("points") or "").split()]
        assert places == sorted(places)
        assert len(places) == 3

    def test_chance_is_of_the_emotions_that_there_are_clips_of(self) -> None:
        assert chance(RESULT) == pytest.approx(1 / 6)


class TestMatrices:
    def test_cells_are_the_counts(self) -> None:
        (chart, *_) = charts.flip_matrices(RESULT)
        point = RESULT.curve[4]
        assert point.flips is not None
        assert point.flips.matrix is not None
        cells = [[int(cell) for cell in row[1:]] for row in chart.table.rows]
        assert cells == point.flips.matrix
        drawn = [int(text) for text in texts(chart) if text.isdigit()]
        assert sum(drawn) == point.n

    def test_of_many_emotions_those_with_the_most_clips_are_shown_and_that_is_said(self) -> None:
        labels = [f"emotion {n}" for n in range(20)]
        result = made(40, labels=labels).report.result
        chart = charts.confusion(result)[0]
        assert len(chart.table.rows) == 16
        assert "Of 20 emotions, the 16 with the most clips are shown." in chart.description


class TestForests:
    def test_recalls_are_those_of_the_result(self) -> None:
        chart = charts.recalls(RESULT, REPORT.groups)
        assert chart is not None
        assert RESULT.clean.recall is not None
        told = {row[0]: row[2].split(" ")[0] for row in chart.table.rows}
        assert told == {name: words.number(one) for name, one in RESULT.clean.recall.items()}

    def test_gaps_that_chance_does_not_make_are_told(self) -> None:
        clean, worst = charts.gaps(RESULT)
        assert "every interval holds 0" in clean.description
        assert "leave 0 out" in worst.description


class TestSurvival:
    def test_steps_are_those_of_the_result(self) -> None:
        (chart,) = charts.survival(RESULT)
        (found,) = RESULT.minimum
        assert [row[2] for row in chart.table.rows] == [
            words.number(one.surviving.value) for one in found.survival
        ]


class TestAxis:
    @pytest.mark.parametrize(
        ("strengths", "smaller_is_harder"),
        [([0.02, 0.1], False), ([0.001, 0.1, 1.0], False), ([60.0, 50.0, 30.0], True)],
    )
    def test_weaker_strengths_lie_nearer_to_the_clips_as_they_are(
        self, strengths: Sequence[float], smaller_is_harder: bool
    ) -> None:
        axis = StrengthAxis.of(strengths, smaller_is_harder=smaller_is_harder, left=50, right=400)
        places = [axis.clean, *(axis.at(one) for one in strengths)]
        assert places == sorted(places)
        assert places[0] == 50
        assert places[-1] == pytest.approx(400)

    def test_labels_do_not_lie_over_each_other(self) -> None:
        strengths = [n / 100 for n in range(33)]
        axis = StrengthAxis.of(strengths, smaller_is_harder=False, left=50, right=300)
        places = sorted(axis.ticks(strengths))
        for (one, text), (other, _) in itertools.pairwise(places):
            assert other - one >= width_of(text)


class TestText:
    def test_names_at_the_ends_of_lines_move_apart(self) -> None:
        places = spread([50, 52, 54, 248], 16, 0, 250)
        assert all(b - a >= 16 for a, b in itertools.pairwise(places))
        assert places[-1] <= 250

    def test_a_long_name_is_cut_to_its_room(self) -> None:
        assert fitting("a" * 100, 60).endswith("…")
        assert width_of(fitting("愤" * 100, 60)) <= 60
