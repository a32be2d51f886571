"""Measures: each by hand on a few clips."""

import pytest

from models.attacks.fgsm import Fgsm
from models.audit.evidence import (
    AttackedPrediction,
    AuditRow,
    ClipPrediction,
    CostSpent,
    Distortion,
)
from models.audit.measures import BREAKDOWNS, MEASURES, Figure
from models.audit.table import Columns, Table

ATTACK = Fgsm(epsilon=(0.02,))
LABELS = ("anger", "fear")


def scores(label: str) -> dict[str, float]:
    return {"anger": 0.75, "fear": 0.25} if label == "anger" else {"anger": 0.25, "fear": 0.75}


def row(label: str | None, before: str, after: str, *, success: bool | None) -> AuditRow:
    return AuditRow(
        index=0, clip="a.wav", label=label, speaker=None, gender=None, duration_s=1.0,
        clean=ClipPrediction(label=before, scores=scores(before)),
        attacked=[
            AttackedPrediction(
                attack=0, strength=0.02, label=after, scores=scores(after), success=success,
                no_direction=False, distortion=Distortion(linf=0, l2=0, snr_db=None, band_db=0),
                cost=CostSpent(forwards=1, backwards=0, queries=0),
            )
        ],
    )  # fmt: skip


def table(*rows: AuditRow) -> Table:
    columns = Columns(LABELS, [ATTACK], [(0, 0.02)])
    for one in rows:
        columns.add(one)
    return columns.point(0)


# Label, clean prediction, prediction under the attack.
CLIPS = table(
    row("anger", "anger", "fear", success=True),
    row("anger", "anger", "anger", success=False),
    row("fear", "anger", "anger", success=None),
    row("fear", "anger", "fear", success=None),
    row(None, "fear", "anger", success=True),
)


def figure(name: str) -> Figure:
    return MEASURES[name]().figure(CLIPS)


@pytest.mark.parametrize(
    ("name", "value", "n"),
    [
        ("success_rate", 1 / 2, 2),
        ("wrong_after", 2 / 4, 4),
        ("flip_rate", 3 / 5, 5),
        ("accuracy", 2 / 4, 4),
        ("uar", (1 / 2 + 1 / 2) / 2, 4),
        ("uar_drop", (1 + 0) / 2 - (1 / 2 + 1 / 2) / 2, 4),
        ("confidence_drop", (0.5 + 0 + 0 - 0.5 + 0.5) / 5, 5),
        ("brier", (2 * 0.75**2 + 2 * 0.25**2) / 2, 4),
        ("ece", abs(2 * (1 - 0.75) + 2 * (0 - 0.75)) / 4, 4),
        ("detector_auc", 0.5, 5),
    ],
)
def test_a_measure_is_what_is_added_up_by_hand(name: str, value: float, n: int) -> None:
    found = figure(name)
    assert found.value == pytest.approx(value)
    assert (found.n, found.n_speakers) == (n, None)


def test_success_takes_the_clean_prediction_for_the_truth_if_no_clip_has_a_label() -> None:
    found = MEASURES["success_rate"]().figure(table(row(None, "fear", "anger", success=True)))
    assert found.value == 1.0


@pytest.mark.parametrize("name", list(MEASURES))
class TestEveryMeasure:
    def test_it_has_its_own_name_a_definition_a_formula_and_a_source(self, name: str) -> None:
        measure = MEASURES[name]
        assert measure.name == name
        assert measure.definition.endswith(".")
        assert measure.formula
        assert measure.source.endswith(".")

    def test_of_no_clips_it_is_nothing_and_not_zero(self, name: str) -> None:
        found = MEASURES[name]().figure(table())
        assert found.value is None
        assert found.interval is None
        assert found.n == 0

    def test_its_interval_holds_its_value(self, name: str) -> None:
        found = figure(name)
        # Without noise there is nothing to hold it against; a detector was not asked.
        if name in {"over_control", "adversarial_auc"}:
            assert (found.value, found.interval, found.n) == (None, None, 0)
            return
        assert found.value is not None
        assert found.interval is not None
        assert found.interval[0] <= found.value <= found.interval[1]


@pytest.mark.parametrize("name", list(BREAKDOWNS))
def test_every_breakdown_is_defined(name: str) -> None:
    found = BREAKDOWNS[name]
    assert found.name == name
    assert found.definition.endswith(".")
    assert found.formula
    assert found.source.endswith(".")
    assert found.shown_in
