"""Measures: each by hand on a few clips, and its interval against an independent formula."""

import math

import pytest

from models.audit.evidence import (
    AttackedPrediction,
    AuditRow,
    ClipPrediction,
    CostSpent,
    Distortion,
)
from models.audit.measures import MEASURES, Figure
from models.audit.measures.measure import normal, wilson


def row(label: str | None, before: str) -> AuditRow:
    return AuditRow(
        index=0, clip="a.wav", label=label, speaker=None, gender=None, duration_s=1.0,
        clean=ClipPrediction(label=before, scores=scores(before)), attacked=[],
    )  # fmt: skip


def scores(label: str) -> dict[str, float]:
    return {"anger": 0.75, "fear": 0.25} if label == "anger" else {"anger": 0.25, "fear": 0.75}


def after(label: str, success: bool | None) -> AttackedPrediction:
    return AttackedPrediction(
        attack=0, strength=0.02, label=label, scores=scores(label), success=success,
        no_direction=False, distortion=Distortion(linf=0, l2=0, snr_db=None, band_db=0),
        cost=CostSpent(forwards=1, backwards=0, queries=0),
    )  # fmt: skip


# Label, clean prediction, prediction under the attack, success.
CLIPS = [
    ("anger", "anger", "fear", True),
    ("anger", "anger", "anger", False),
    ("fear", "anger", "anger", None),
    ("fear", "anger", "fear", None),
    (None, "fear", "anger", True),
]


def figure(name: str) -> Figure:
    measure = MEASURES[name]()
    for label, before, predicted, success in CLIPS:
        measure.add(row(label, before), after(predicted, success))
    return measure.figure()


@pytest.mark.parametrize(
    ("name", "value", "n"),
    [
        ("success_rate", 1 / 2, 2),
        ("wrong_after", 2 / 4, 4),
        ("flip_rate", 3 / 5, 5),
        ("confidence_drop", (0.5 + 0 + 0 - 0.5 + 0.5) / 5, 5),
    ],
)
def test_a_measure_is_what_is_added_up_by_hand(name: str, value: float, n: int) -> None:
    found = figure(name)
    assert found.value == pytest.approx(value)
    assert found.n == n


def test_success_takes_the_clean_prediction_for_the_truth_if_no_clip_has_a_label() -> None:
    measure = MEASURES["success_rate"]()
    measure.add(row(None, "fear"), after("anger", success=True))
    assert measure.figure().value == 1.0


@pytest.mark.parametrize("name", list(MEASURES))
class TestEveryMeasure:
    def test_it_has_its_own_name_and_a_definition(self, name: str) -> None:
        assert MEASURES[name].name == name
        assert MEASURES[name].definition.endswith(".")

    def test_of_no_clips_it_is_nothing_and_not_zero(self, name: str) -> None:
        found = MEASURES[name]().figure()
        assert found.value is None
        assert found.interval is None
        assert found.n == 0

    def test_its_interval_holds_its_value(self, name: str) -> None:
        found = figure(name)
        assert found.value is not None
        assert found.interval is not None
        assert found.interval[0] <= found.value <= found.interval[1]


@pytest.mark.parametrize(("counted", "n"), [(0, 5), (1, 5), (29, 48), (48, 48)])
def test_wilsons_interval_is_the_one_of_his_formula(counted: int, n: int) -> None:
    z, p = 1.959963984540054, counted / n
    middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    assert wilson(counted, n) == pytest.approx((max(0, middle - half), min(1, middle + half)))


def test_the_interval_of_a_mean_is_the_one_of_the_formula() -> None:
    assert normal([0.0, 1.0, 2.0]) == pytest.approx(
        (1 - 1.959963984540054 / math.sqrt(3), 1 + 1.959963984540054 / math.sqrt(3))
    )
    assert normal([1.0]) is None
