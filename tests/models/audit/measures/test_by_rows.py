"""Controls, gaps, flips, calibration and detection, by hand of rows."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from models.attacks import Attack, TargetLabel
from models.attacks.fgsm import Fgsm
from models.attacks.noise import Noise
from models.audit import AuditRow, Summary
from models.audit.evidence import ClipPrediction
from models.audit.measures import MEASURES
from models.audit.measures.ece import BINS
from models.audit.measures.flips import flips
from models.audit.measures.gaps import Gap, GroupTable
from models.audit.measures.smallest import minimum
from models.audit.result import AuditSummary, CurvePoint, Scale
from models.audit.table import Columns
from tests.models.audit.rows import LABELS, row, under

SCALE = Scale(lowest=1, median=1, highest=1)
ATTACKS = (Fgsm(epsilon=(0.1,)), Noise(epsilon=(0.1,)))


def audit(
    rows: Sequence[AuditRow], attacks: Sequence[Attack] = ATTACKS, group_by: str | None = None
) -> tuple[AuditSummary, Sequence[GroupTable]]:
    summary = Summary(LABELS, attacks, group_by)
    for one in rows:
        summary.add(one)
    return summary.result(of=len(rows), scale=SCALE, seconds={}), summary.groups


def both(label: str, attacked: str, noise: str, **facts: Any) -> AuditRow:
    """A clip that was right, under FGSM and under noise."""
    return row(label, label, [under(0, 0.1, attacked), under(1, 0.1, noise)], **facts)


class TestAgainstTheControl:
    ROWS = (
        *[both("a", "b", "a", speaker=f"s{n}") for n in range(6)],  # the attack alone
        *[both("a", "b", "b", speaker=f"s{n}") for n in range(3)],  # both
        both("a", "a", "b", speaker="s3"),  # the noise alone
        both("a", "a", "a", speaker="s4"),
    )

    def point(self, *rows: AuditRow) -> CurvePoint:
        return audit(rows or self.ROWS)[0].curve[0]

    def test_an_attack_names_the_point_of_its_noise(self) -> None:
        result, _ = audit(self.ROWS)
        attack, noise = result.curve
        assert attack.control is not None
        assert (attack.control.point, attack.control.n) == (1, 11)
        assert (attack.control.only_attack, attack.control.only_control) == (6, 1)
        assert attack.control.p == pytest.approx(2 * (1 + 7) / 2**7)
        assert noise.control is None
        assert noise.measures["over_control"].value is None

    def test_what_it_does_beyond_that_is_paired_by_clip_and_drawn_by_speaker(self) -> None:
        found = self.point().measures["over_control"]
        assert found.value == pytest.approx(9 / 11 - 4 / 11)
        assert (found.n, found.n_speakers, found.method) == (11, 6, "bootstrap_speakers")
        assert found.interval is not None
        assert 0 < found.interval[0] < 5 / 11 < found.interval[1] < 1

    def test_where_all_draws_are_the_same_the_interval_still_has_a_width(self) -> None:
        found = self.point(*self.ROWS[:6]).measures["over_control"]
        assert (found.value, found.method) == (1, "newcombe")
        assert found.interval is not None
        assert found.interval[0] < 0.6

    def test_noise_of_another_strength_is_none(self) -> None:
        result, _ = audit(
            [row("a", "a", [under(0, 0.1, "b"), under(1, 0.2, "a")])],
            (Fgsm(epsilon=(0.1,)), Noise(epsilon=(0.2,))),
        )
        assert result.curve[0].control is None

    def test_of_an_attack_with_a_target_noise_has_to_reach_that(self) -> None:
        attacks = (Fgsm(epsilon=(0.1,), goal=TargetLabel(label="c")), Noise(epsilon=(0.1,)))
        rows = [
            row("a", "a", [under(0, 0.1, "c", success=True), under(1, 0.1, "b")]),
            row("a", "a", [under(0, 0.1, "a", success=False), under(1, 0.1, "c")]),
        ]
        control = audit(rows, attacks)[0].curve[0].control
        assert control is not None
        assert (control.only_attack, control.only_control) == (1, 1)

    def test_the_worst_case_has_one_too(self) -> None:
        (case,) = audit(self.ROWS)[0].worst_case
        assert case.measures["over_control"].value == pytest.approx(5 / 11)
        assert case.control is not None
        assert case.control.point == 1


class TestFewClips:
    def test_a_uar_of_nothing_right_is_not_sure_to_be_nothing(self) -> None:
        rows = [both("a", "b", "a", speaker=f"s{n}") for n in range(8)]
        found = audit(rows)[0].curve[0].measures["uar"]
        assert (found.value, found.method) == (0, "wilson")
        assert found.interval is not None
        assert found.interval[1] > 0.3

    def test_a_uar_of_one_label_for_all_lies_within_its_interval(self) -> None:
        """Accuracy is .8, UAR .5: all draws of speakers give that."""
        said = [("a", n) for n in range(8)] * 4 + [("b", n) for n in range(8)]
        rows = [both(label, "a", "a", speaker=f"s{n}") for label, n in said]
        found = audit(rows)[0].curve[0].measures["uar"]
        assert (found.value, found.method) == (0.5, "wilson")
        assert found.interval is not None
        assert found.interval[0] < 0.5 < found.interval[1] < 0.7

    def test_a_drop_from_one_label_for_all_to_another_lies_within_its_interval(self) -> None:
        """Accuracy falls from .8 to .2, UAR stays .5."""
        said = [("a", n) for n in range(8)] * 4 + [("b", n) for n in range(8)]
        told = [under(0, 0.1, "b"), under(1, 0.1, "a")]
        rows = [row(label, "a", told, speaker=f"s{n}") for label, n in said]
        found = audit(rows)[0].curve[0].measures["uar_drop"]
        assert (found.value, found.method) == (0, "newcombe")
        assert found.interval is not None
        assert found.interval[0] < 0 < found.interval[1]


class TestGaps:
    """Women's clips are broken, men's are not."""

    ROWS = tuple(
        both(
            "ab"[n % 2],
            "c" if n % 4 < 2 else "ab"[n % 2],
            "ab"[n % 2],
            speaker=f"s{n % 12}",
            gender="f" if n % 4 < 2 else "m",
            group=f"text {n % 3}",
        )
        for n in range(96)
    )

    def gap(self, by: str, figure: str, group_by: str | None = None) -> Gap:
        result, _ = audit(self.ROWS, group_by=group_by)
        (found,) = [
            one for one in result.gaps if (one.attack, one.by, one.figure) == (0, by, figure)
        ]
        return found

    def test_is_that_of_the_worst_group_minus_the_best(self) -> None:
        found = self.gap("gender", "success_rate")
        assert (found.worst, found.best, found.groups) == ("f", "m", 2)
        assert (found.gap.value, found.gap.n, found.gap.n_speakers) == (1, 96, 12)
        assert found.gap.interval is not None
        assert 0.8 < found.gap.interval[0] < 1 == found.gap.interval[1]
        assert self.gap("gender", "uar").gap.value == -1

    def test_of_many_groups_that_are_alike_holds_0(self) -> None:
        found = self.gap("text", "success_rate", group_by="text")
        assert found.groups == 3
        assert found.gap.interval is not None
        assert found.gap.interval[0] <= 0 <= found.gap.interval[1]

    def test_is_not_taken_of_groups_of_fewer_than_five_clips(self) -> None:
        rows = [*self.ROWS, *[both("a", "a", "a", gender="x", speaker="s0")] * 4]
        result, groups = audit(rows)
        gaps = [one for one in result.gaps if one.by == "gender"]
        assert {one.groups for one in gaps} == {2}
        (table,) = [one for one in groups if (one.attack, one.by) == (0, "gender")]
        assert [(one.group, one.n) for one in table.groups] == [("f", 48), ("m", 48), ("x", 4)]

    def test_the_recall_of_an_emotion_is_its_uar(self) -> None:
        _, groups = audit(self.ROWS)
        (table,) = [one for one in groups if (one.attack, one.by) == (0, "emotion")]
        assert [(one.group, one.uar.value) for one in table.groups] == [("a", 0.5), ("b", 0.5)]

    def test_clips_as_they_are_have_no_success(self) -> None:
        _, groups = audit(self.ROWS)
        (table,) = [one for one in groups if (one.attack, one.by) == (None, "gender")]
        assert {one.success_rate for one in table.groups} == {None}

    def test_durations_are_in_bands(self) -> None:
        rows = [row("a", "a", duration_s=seconds) for seconds in (0.5, 1.0, 2.5, 60.0)]
        _, groups = audit(rows, ())
        (table,) = [one for one in groups if one.by == "duration"]
        assert [one.group for one in table.groups] == [
            "under 1 s", "1 to 2 s", "2 to 3 s", "10 s and more",
        ]  # fmt: skip

    def test_only_the_hundred_largest_groups_are_listed(self) -> None:
        rows = [row("a", "a", speaker=f"s{n}") for n in range(130)]
        _, groups = audit(rows, ())
        (table,) = [one for one in groups if one.by == "speaker"]
        assert (len(table.groups), table.left_out) == (100, 30)


class TestFlips:
    NAMES = ("anger", "happiness", "wonder")

    def test_matrix_ends_and_valence(self) -> None:
        columns = Columns(self.NAMES, [Fgsm(epsilon=(0.1,))], [(0, 0.1)])
        for before, after in (
            ("anger", "anger"), ("anger", "happiness"), ("happiness", "anger"),
            ("anger", "happiness"), ("happiness", "wonder"),
        ):  # fmt: skip
            columns.add(named(row("a", "a", [under(0, 0.1, "b")]), before, after, self.NAMES))
        found = flips(columns.point(0))
        assert found.matrix == [[1, 2, 0], [1, 0, 1], [0, 0, 0]]
        assert {name: one.value for name, one in found.driven_to.items()} == {
            "happiness": 0.5, "anger": 0.25, "wonder": 0.25,
        }  # fmt: skip
        assert found.valence is not None
        assert found.valence.positive.value == pytest.approx(2 / 3)
        assert found.valence.negative.value == pytest.approx(1 / 3)
        assert (found.valence.positive.n, found.valence.unknown) == (3, 1)


def named(one: AuditRow, before: str, after: str, names: Sequence[str]) -> AuditRow:
    """A row with other names of emotions."""

    def said(label: str) -> dict[str, object]:
        return {"label": label, "scores": {name: float(name == label) for name in names}}

    return one.model_copy(
        update={
            "label": before,
            "clean": ClipPrediction.model_validate(said(before)),
            "attacked": [one.attacked[0].model_copy(update=said(after))],
        }
    )


class TestCalibration:
    def test_the_error_is_that_of_the_formula(self) -> None:
        draws = np.random.default_rng(3)
        columns = Columns(LABELS, [], [])
        confidences, rights = [], []
        for _ in range(300):
            confidence, right = (
                round(float(draws.uniform(0.34, 1.0)), 6),
                bool(draws.random() < 0.6),
            )
            scores = {"a": confidence, "b": 1 - confidence, "c": 0.0}
            one = row("a" if right else "b", "a")
            columns.add(one.model_copy(update={"clean": ClipPrediction(label="a", scores=scores)}))
            confidences.append(confidence)
            rights.append(right)
        error = 0.0
        for low in range(BINS):
            inside = [
                (p, hit)
                for p, hit in zip(confidences, rights, strict=True)
                if low / BINS < p <= (low + 1) / BINS
            ]
            if inside:
                accuracy = sum(hit for _, hit in inside) / len(inside)
                confidence = sum(p for p, _ in inside) / len(inside)
                error += len(inside) / 300 * abs(accuracy - confidence)
        found = MEASURES["ece"]().figure(columns.clean())
        assert found.value == pytest.approx(error)
        assert found.interval is not None
        assert found.interval[0] <= error <= found.interval[1]


class TestSmallestStrength:
    def test_has_intervals_and_a_survival_curve(self) -> None:
        strengths = [0.01 * (n + 1) for n in range(40)]
        found = minimum(0, strengths, smaller_is_harder=False, speaker=np.arange(40) % 10)
        median = found.figures["median"]
        assert (median.value, median.n, median.n_speakers) == (found.median, 40, 10)
        assert median.interval is not None
        assert median.interval[0] < 0.205 <= median.interval[1]
        first, *_, last = found.survival
        assert len(found.survival) == 21
        assert (first.strength, last.strength) == (0.01, 0.4)
        assert [first.surviving.value, last.surviving.value] == [39 / 40, 0]

    def test_an_interval_that_reaches_beyond_all_strengths_is_none(self) -> None:
        found = minimum(
            0, [0.1, 0.2, 0.3, 0.4, None, None], smaller_is_harder=False, speaker=np.arange(6)
        )
        assert found.median == pytest.approx(0.35)
        assert found.figures["median"].interval is None
