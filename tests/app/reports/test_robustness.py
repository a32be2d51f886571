"""Figure 3 of a study: its models against ε."""

import re
import xml.etree.ElementTree as ET

from app.reports import words
from app.reports.charts import Chart
from app.reports.charts.robustness import MOST_SERIES, robustness
from models.studies.tables.curves import CurvesTable
from tests.models.studies.made import cell, study

NAMESPACE = "{http://www.w3.org/2000/svg}"
CURVES = CurvesTable.of(study(cell(), cell(seed=1), cell("vanilla", 0.06)))


def texts(chart: Chart) -> set[str]:
    return {one.text or "" for one in ET.fromstring(chart.svg).iter(f"{NAMESPACE}text")}


def test_there_is_one_for_each_attack_and_partition() -> None:
    assert [chart.title for chart in robustness(CURVES, 3)] == [
        f"UAR against ε, {attack}, {partition}"
        for attack in ("FGSM", "PGD-10", "worst case", "noise")
        for partition in ("dev", "test")
    ]


def test_models_chance_seeds_and_speakers_are_named() -> None:
    told = texts(robustness(CURVES, 3)[0])
    assert {"cnn4 single", "cnn4 vanilla .06", "chance .33"} <= told
    assert any("48 clips, 8 speakers, 1 to 2 seeds" in one for one in told)


def test_of_unknown_emotions_there_is_no_line_for_chance() -> None:
    assert not any("chance" in one for one in texts(robustness(CURVES, 0)[0]))


def test_the_table_has_every_point_with_its_interval() -> None:
    (chart, *_) = robustness(CURVES, 3)
    rows = {row[:2]: row[2:] for row in chart.table.rows}
    estimate = CURVES.curves[0].points[1].entry.estimate
    assert estimate is not None
    assert rows["cnn4 single", "0.02 σ"][0] == words.number(estimate.value)
    assert rows["cnn4 single", "0.02 σ"][2:] == ("48", "8")
    assert len(rows) == 2 * 3


def test_a_missing_point_is_a_dash_with_its_reason() -> None:
    findings = study(cell())
    wider = CurvesTable.of(type(findings)(findings.cells, (0.02, 0.06, 0.1)))
    (chart, *_) = robustness(wider, 3)
    assert chart.table.rows[-1][1:] == ("0.1 σ", *[words.NOTHING] * 4)
    assert "No figure: seed 0: the audit has no FGSM at ε = 0.1." in chart.table.note


def test_of_many_those_without_a_defence_share_one_and_networks_have_their_own() -> None:
    cells = [
        cell(training, epsilon, architecture=network, partitions=("test",))
        for network in ("cnn4", "vgg16")
        for training, epsilon in [
            ("single", None),
            *(("vanilla", 0.01 * n) for n in range(1, MOST_SERIES // 2 + 1)),
        ]
    ]
    charts = robustness(CurvesTable.of(study(*cells)), 3)
    assert [one.name for one in charts[:3]] == [
        "robustness-fgsm-test-single",
        "robustness-fgsm-test-cnn4",
        "robustness-fgsm-test-vgg16",
    ]
    assert {"cnn4 single", "vgg16 single"} <= texts(charts[0])


def test_every_drawing_is_a_document_of_its_own() -> None:
    for chart in robustness(CURVES, 3):
        for drawn in (chart.svg, chart.narrow):
            assert ET.fromstring(drawn).tag == f"{NAMESPACE}svg"
            assert not re.search(r"\bstyle|<script|href|url\(|@import", drawn)
