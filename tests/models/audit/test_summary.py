"""Rows are added up as by hand."""

from typing import Any, ClassVar

import pytest

from models.attacks import Attack, TargetLabel
from models.attacks.fgsm import Fgsm
from models.attacks.noise import Noise
from models.attacks.pgd import Pgd
from models.audit import AuditRow, AuditSummary, ClipPrediction, Summary, points, summarize
from models.audit.measures.smallest import minimum
from models.audit.result import CurvePoint, Scale
from models.audit.summary import Point
from tests.models.audit.rows import LABELS, row, under

SCALE = Scale(lowest=0.9, median=1.0, highest=1.1)
ATTACK = Fgsm(epsilon=(0.0, 0.1))


def added(
    rows: list[AuditRow], *attacks: Attack, of: int | None = None, **options: Any
) -> AuditSummary:
    options = {"seconds": {}} | options
    of = len(rows) if of is None else of
    return summarize(rows, LABELS, attacks or (ATTACK,), of=of, scale=SCALE, **options)


def under_fgsm(
    label: str | None, clean: str, zero: str, tenth: str, audio: tuple[str, float] | None = None
) -> AuditRow:
    """A clip under `ATTACK`."""
    return row(label, clean, [under(0, 0.0, zero), under(0, 0.1, tenth, audio=audio)])


ROWS = [
    under_fgsm("a", "a", "a", "b", ("b", 20.0)),  # right, then broken, and that survives
    under_fgsm("a", "a", "a", "b", ("a", 30.0)),  # right, then broken, but not as sound
    under_fgsm("a", "b", "b", "a"),  # wrong, then repaired
    under_fgsm("b", "b", "b", "b"),  # right all along
    under_fgsm("b", "a", "a", "c"),  # wrong all along, though otherwise
]


def one_point(rows: list[AuditRow], *attacks: Attack) -> CurvePoint:
    """The only one that has a change."""
    return added(rows, *attacks).curve[-1]


class TestOneRow:
    def test_is_right_before_if_the_label_was_predicted(self) -> None:
        assert row("a", "a").right_before
        assert not row("a", "b").right_before

    def test_without_a_label_the_prediction_is_the_truth(self) -> None:
        assert (row(None, "b").truth, row(None, "b").right_before) == ("b", True)
        assert row("a", "b").truth == "a"


class TestPoints:
    def test_are_all_attacks_at_all_their_strengths(self) -> None:
        attacks = [Fgsm(epsilon=(0.1, 0.2)), Pgd(domain="waveform", snr_db=(40.0,))]
        assert points(attacks) == [Point(0, 0.1), Point(0, 0.2), Point(1, 40.0)]


class TestQuality:
    def test_adds_up_as_by_hand(self) -> None:
        result = added(ROWS)
        assert (result.n, result.of, result.n_unlabelled) == (5, 5, 0)
        assert result.clean.uar == pytest.approx((2 / 3 + 1 / 2) / 2)
        assert result.clean.accuracy == pytest.approx(3 / 5)
        assert result.clean.recall == {"a": 2 / 3, "b": 0.5, "c": None}
        assert result.clean.confusion == [[2, 1, 0], [1, 1, 0], [0, 0, 0]]
        zero, tenth = result.curve
        assert (zero.attack, zero.strength, zero.n) == (0, 0.0, 5)
        assert (tenth.attack, tenth.strength, tenth.n) == (0, 0.1, 5)
        assert (zero.uar, zero.confusion) == (result.clean.uar, result.clean.confusion)
        assert tenth.uar == pytest.approx((1 / 3 + 1 / 2) / 2)
        assert tenth.accuracy == pytest.approx(2 / 5)
        assert tenth.confusion == [[1, 2, 0], [0, 1, 1], [0, 0, 0]]

    def test_a_confusion_of_very_many_labels_is_left_out(self) -> None:
        many = [f"{number}" for number in range(65)]
        seven = ClipPrediction(label="7", scores={one: float(one == "7") for one in many})
        clip = row("a", "a").model_copy(update={"label": "7", "clean": seven})
        result = summarize([clip], many, [ATTACK], of=1, scale=SCALE, seconds={})
        assert (result.clean.confusion, result.clean.uar) == (None, 1.0)
        assert summarize([clip], many[:64], [ATTACK], of=1, scale=SCALE, seconds={}).clean.confusion


class TestSuccess:
    def test_is_counted_over_the_clips_that_were_right(self) -> None:
        zero, tenth = added(ROWS).curve
        assert (zero.right_before, zero.success_rate) == (3, 0)
        assert (tenth.right_before, tenth.success_rate) == (3, 2 / 3)

    def test_beside_it_stand_the_four_counts(self) -> None:
        point = one_point(ROWS)
        assert point.counts.model_dump() == {
            "right_wrong": 2,
            "right_right": 1,
            "wrong_right": 1,
            "wrong_wrong": 1,
        }
        assert point.measures["wrong_after"].value == pytest.approx(3 / 5)
        assert point.flip_rate == pytest.approx(4 / 5)

    def test_is_open_if_nothing_was_right(self) -> None:
        point = one_point([row("a", "b", [under(0, 0.1, "b")])], Fgsm(epsilon=(0.1,)))
        assert (point.success_rate, point.uar, point.measures["wrong_after"].value) == (None, 0, 1)

    def test_without_labels_is_a_changed_prediction_and_uar_stays_open(self) -> None:
        rows = [
            under_fgsm(None, "a", "a", "b", ("b", 20.0)),
            under_fgsm(None, "b", "b", "b"),
            under_fgsm(None, "c", "c", "a", ("c", 10.0)),
        ]
        result = added(rows)
        assert result.n_unlabelled == 3
        assert result.clean.model_dump(exclude={"measures"}) == dict.fromkeys(
            ("uar", "accuracy", "recall", "confusion")
        )
        assert {figure.value for figure in result.clean.measures.values()} == {None}
        point = result.curve[1]
        assert (point.uar, point.confusion) == (None, None)
        assert (point.right_before, point.success_rate) == (3, 2 / 3)
        assert (point.survives_as_audio, point.played, point.snr_db) == (0.5, 2, 15)
        assert point.unlabelled is not None
        assert point.unlabelled.model_dump() == {
            "n": 3,
            "flipped": 2,
            "flip_rate": pytest.approx(2 / 3),
        }

    def test_with_some_labels_is_counted_over_the_labelled_clips(self) -> None:
        rows = [
            under_fgsm("a", "a", "a", "a"),
            under_fgsm("a", "a", "a", "b", ("b", 20.0)),
            under_fgsm(None, "a", "a", "b", ("a", 90.0)),
            under_fgsm(None, "b", "b", "b"),
            under_fgsm(None, "b", "b", "b"),
        ]
        result = added(rows)
        point = result.curve[1]
        assert (result.n, result.n_unlabelled) == (5, 3)
        assert (point.uar, point.success_rate, point.right_before) == (0.5, 0.5, 2)
        assert (point.survives_as_audio, point.played, point.snr_db) == (1, 1, 20)
        assert point.flip_rate == pytest.approx(2 / 5)
        assert point.unlabelled is not None
        assert point.unlabelled.model_dump() == {
            "n": 3,
            "flipped": 1,
            "flip_rate": pytest.approx(1 / 3),
        }

    def test_where_every_clip_has_a_label_nothing_is_said_of_others(self) -> None:
        assert one_point(ROWS).unlabelled is None


class TestSound:
    def test_survival_is_the_share_of_the_successes_that_are_still_wrong_as_sound(self) -> None:
        zero, tenth = added(ROWS).curve
        assert (zero.survives_as_audio, zero.played, zero.snr_db) == (None, 0, None)
        assert (tenth.survives_as_audio, tenth.played, tenth.snr_db) == (0.5, 2, 25.0)

    def test_of_a_target_it_is_the_share_that_is_still_heard_as_the_target(self) -> None:
        attack = Fgsm(epsilon=(0.1,), goal=TargetLabel(label="c"))
        rows = [
            row("a", "a", [under(0, 0.1, "c", success=True, audio=("c", 20.0))]),
            row("a", "a", [under(0, 0.1, "c", success=True, audio=("b", 20.0))]),
            row("a", "a", [under(0, 0.1, "b", success=False)]),
        ]
        point = one_point(rows, attack)
        assert (point.survives_as_audio, point.played) == (0.5, 2)
        assert point.success_rate == pytest.approx(2 / 3)

    def test_the_snr_of_attacks_on_waveforms_is_the_median_over_the_clips(self) -> None:
        attack = Fgsm(domain="waveform", epsilon=(0.1,))
        rows = [row("a", "a", [under(0, 0.1, "a", snr_db=db)]) for db in (10.0, 20.0, 60.0)]
        point = one_point(rows, attack)
        assert (point.snr_db, point.played, point.survives_as_audio) == (20, 0, None)
        assert point.distortion is not None
        assert point.distortion.snr_db == 20


class TestClipsThatHaveTheTargetLabel:
    ATTACK: ClassVar = Fgsm(epsilon=(0.1,), goal=TargetLabel(label="c"))
    ALONE: ClassVar = {"has_target_label": True}

    def rows(self) -> list[AuditRow]:
        return [
            row("a", "a", [under(0, 0.1, "c", success=True, size=0.1)]),
            row("b", "b", [under(0, 0.1, "b", success=False, size=0.2)]),
            row("c", "c", [under(0, 0.1, "c", details=self.ALONE)]),
            row("c", "b", [under(0, 0.1, "b", details=self.ALONE)]),
        ]

    def test_are_not_counted_in_the_success(self) -> None:
        point = one_point(self.rows(), self.ATTACK)
        assert (point.right_before, point.success_rate) == (2, 0.5)
        # The fourth is wrong and stays so: it has the target label, and no other.
        assert point.has_target_label == 2
        assert point.counts.model_dump() == {
            "right_wrong": 1,
            "right_right": 1,
            "wrong_right": 0,
            "wrong_wrong": 0,
        }
        assert point.measures["wrong_after"].value == 0.5

    def test_nor_in_the_distortion(self) -> None:
        point = one_point(self.rows(), self.ATTACK)
        assert point.distortion is not None
        assert point.distortion.linf == pytest.approx(0.15)

    def test_but_in_the_uar(self) -> None:
        point = one_point(self.rows(), self.ATTACK)
        assert point.recall == {"a": 0, "b": 1, "c": 0.5}
        assert point.uar == 0.5

    def test_if_there_are_no_others_nothing_is_said(self) -> None:
        point = one_point(self.rows()[2:3], self.ATTACK)
        assert (point.right_before, point.success_rate, point.measures["wrong_after"].value) == (
            0,
            None,
            None,
        )
        assert (point.distortion, point.n, point.uar) == (None, 1, 1)


class TestDraws:
    ATTACK: ClassVar = Noise(epsilon=(0.1,), draws=10)

    def test_the_mean_over_the_draws_stands_beside_the_worst(self) -> None:
        rows = [
            row("a", "a", [under(0, 0.1, "b", details={"broken_draws": 7})]),
            row("a", "a", [under(0, 0.1, "a", details={"broken_draws": 0})]),
            row("a", "b", [under(0, 0.1, "b", details={"broken_draws": 10})]),  # wrong before
            row(None, "b", [under(0, 0.1, "a", details={"broken_draws": 9})]),  # no label
        ]
        point = one_point(rows, self.ATTACK)
        assert point.mean_success_rate == pytest.approx(7 / 20)
        assert point.success_rate == 0.5

    def test_an_attack_without_draws_has_none(self) -> None:
        assert one_point(ROWS).mean_success_rate is None

    def test_a_parameter_of_that_name_that_is_no_number_is_no_draw(self) -> None:
        class Drawn(Fgsm):
            draws: str = "curtains"

        rows = [row("a", "a", [under(0, 0.1, "b", details={"broken_draws": "all"})])]
        assert one_point(rows, Drawn(epsilon=(0.1,))).mean_success_rate is None


class TestSizesAndCosts:
    ROWS: ClassVar = [
        row("a", "a", [under(0, 0.1, "a", size=size, cost=(3, 2, 1), no_direction=lost)])
        for size, lost in ((0.1, False), (0.4, True), (0.2, False), (0.3, True))
    ]

    def test_distortions_are_medians_over_the_clips(self) -> None:
        point = one_point(self.ROWS, Fgsm(epsilon=(0.1,)))
        assert point.distortion is not None
        assert point.distortion.model_dump() == {
            "linf": pytest.approx(0.25),
            "l2": pytest.approx(2.5),
            "snr_db": None,
            "band_db": pytest.approx(25),
            "quartiles": {
                "linf": (pytest.approx(0.175), pytest.approx(0.325)),
                "l2": (pytest.approx(1.75), pytest.approx(3.25)),
                "snr_db": None,
                "band_db": (pytest.approx(17.5), pytest.approx(32.5)),
            },
        }

    def test_clips_without_a_direction_are_counted(self) -> None:
        assert one_point(self.ROWS, Fgsm(epsilon=(0.1,))).no_direction == 2

    def test_costs_are_sums_with_a_forward_pass_for_each_clean_clip(self) -> None:
        attacks = (Fgsm(epsilon=(0.1,)), Pgd(epsilon=(0.5,)))
        rows = [
            one.model_copy(
                update={"attacked": [*one.attacked, under(1, 0.5, "a", cost=(30, 20, 0))]}
            )
            for one in self.ROWS
        ]
        result = added(rows, *attacks, seconds={0: 1.25, 1: 4.0})
        first, second = (one.cost for one in result.attacks)
        assert (first.forwards, first.backwards, first.queries, first.seconds) == (12, 8, 4, 1.25)
        assert (second.forwards, second.backwards, second.queries) == (120, 80, 0)
        total = result.cost
        assert (total.forwards, total.backwards, total.queries) == (4 + 12 + 120, 88, 4)
        assert total.seconds == 5.25

    def test_the_search_for_smallest_strengths_is_counted_as_well(self) -> None:
        attack = Fgsm(epsilon=(0.1,), minimum=True)
        clip = row("a", "a", [under(0, 0.1, "b", cost=(2, 1, 0))], [(0, 0.05)])
        result = added([clip], attack)
        assert (result.attacks[0].cost.forwards, result.attacks[0].cost.backwards) == (2 + 9, 1)
        assert result.cost.forwards == 1 + 2 + 9

    def test_attacks_are_described_once(self) -> None:
        attack = Noise(domain="waveform", snr_db=(40.0,), draws=3)
        (told,) = added([row("a", "a", [under(0, 40.0, "a")])], attack).attacks
        assert (told.index, told.type, told.control) == (0, "noise", True)
        assert told.parameters["draws"] == 3
        assert told.threat.model_dump() == {"domain": "waveform", "norm": "l2", "unit": "dB"}


class TestWarnings:
    def test_are_counted_by_code_each_clip_once(self) -> None:
        warned = [["level", "too_short"], [], ["level"], ["level", "level"], []]
        rows = [
            one.model_copy(update={"warnings": codes})
            for one, codes in zip(ROWS, warned, strict=True)
        ]
        found = added(rows).warnings or []
        assert [(one.code, one.clips) for one in found] == [("level", 3), ("too_short", 1)]

    def test_of_none_there_is_an_empty_list(self) -> None:
        assert added([one.model_copy(update={"warnings": []}) for one in ROWS]).warnings == []

    def test_that_are_not_known_are_not_called_none(self) -> None:
        assert added(ROWS).warnings is None


class TestPartOfAnAudit:
    """One that ended early: what was not scored is not 0 %."""

    ATTACKS: ClassVar = (Fgsm(epsilon=(0.1, 0.2)), Pgd(epsilon=(0.1,)))
    ROWS: ClassVar = [
        row("a", "a", [under(0, 0.1, "b"), under(0, 0.2, "b"), under(1, 0.1, "b")]),
        row("b", "b", [under(0, 0.1, "b"), under(0, 0.2, "a")]),
        row("b", "b", [under(0, 0.1, "a")]),
    ]

    def test_each_point_says_how_many_clips_it_has(self) -> None:
        result = added(self.ROWS, *self.ATTACKS, of=9)
        assert [point.n for point in result.curve] == [3, 2, 1]
        assert [point.right_before for point in result.curve] == [3, 2, 1]
        assert [point.success_rate for point in result.curve] == [pytest.approx(2 / 3), 1, 1]
        assert (result.n, result.of, result.complete) == (3, 9, False)

    def test_a_point_without_clips_has_no_figures(self) -> None:
        point = added([row("a", "a")], *self.ATTACKS, of=9).curve[0]
        counts = {"right_wrong": 0, "right_right": 0, "wrong_right": 0, "wrong_wrong": 0}
        measures = point.measures
        assert all((one.value, one.interval, one.n) == (None, None, 0) for one in measures.values())
        assert point.model_dump(exclude={"measures"}) == {
            "attack": 0,
            "strength": 0.1,
            "n": 0,
            "right_before": 0,
            "counts": counts,
            "no_direction": 0,
            "has_target_label": 0,
            "played": 0,
        } | dict.fromkeys(
            (
                "uar", "accuracy", "recall", "confusion", "success_rate",
                "flip_rate", "mean_success_rate", "unlabelled", "distortion",
                "survives_as_audio", "snr_db", "control", "flips",
            )
        )  # fmt: skip

    def test_all_clips_at_some_points_are_not_all(self) -> None:
        assert not added(self.ROWS, *self.ATTACKS).complete
        assert added(self.ROWS[:1], *self.ATTACKS).complete
        assert not added(self.ROWS[:1], *self.ATTACKS, of=2).complete

    def test_nor_are_they_without_the_smallest_strengths(self) -> None:
        attack = Fgsm(epsilon=(0.1,), minimum=True)
        clip = row("a", "a", [under(0, 0.1, "b")])
        assert not added([clip], attack).complete
        assert added([row("a", "a", clip.attacked, [(0, 0.05)])], attack).complete

    def test_no_clips_have_no_result(self) -> None:
        with pytest.raises(ValueError, match="score at least one"):
            added([])

    def test_a_result_can_be_taken_while_rows_come(self) -> None:
        summary = Summary(LABELS, [ATTACK])
        found = []
        for one in ROWS:
            summary.add(one)
            found.append(summary.result(of=5, scale=SCALE, seconds={}))
        assert [result.complete for result in found] == [False] * 4 + [True]
        assert found[-1] == added(ROWS)


class TestSmallestStrengths:
    ATTACK: ClassVar = Fgsm(epsilon=(0.4,), minimum=True)

    def clip(self, label: str | None, clean: str, at: float | None) -> AuditRow:
        after = "b" if at is not None else clean
        return row(label, clean, [under(0, 0.4, after)], [(0, at)])

    def test_are_of_the_clips_that_were_right(self) -> None:
        rows = [self.clip("a", "a", at) for at in (0.1, 0.3, 0.2, None)]
        rows.append(self.clip("a", "b", None))
        (found,) = added(rows, self.ATTACK).minimum
        assert (found.attack, found.right_before, found.unbroken) == (0, 4, 1)
        assert found.median == pytest.approx(0.25)
        assert found.quartiles[0] == pytest.approx(0.175)
        assert found.quartiles[1] is None

    def test_and_of_labelled_ones_if_there_are_any(self) -> None:
        rows = [self.clip("a", "a", 0.1), self.clip(None, "a", 0.3)]
        assert added(rows, self.ATTACK).minimum[0].median == 0.1
        assert added(rows[1:], self.ATTACK).minimum[0].median == 0.3

    def test_a_clip_that_has_the_target_label_is_not_unbroken(self) -> None:
        attack = Fgsm(epsilon=(0.4,), minimum=True, goal=TargetLabel(label="b"))
        rows = [
            row("a", "a", [under(0, 0.4, "b", success=True)], [(0, 0.3)]),
            row("b", "b", [under(0, 0.4, "b", details={"has_target_label": True})], [(0, None)]),
        ]
        (found,) = added(rows, attack).minimum
        assert (found.right_before, found.unbroken, found.median) == (1, 0, 0.3)

    def test_quartiles_are_those_of_numpy_while_clips_are_broken(self) -> None:
        import numpy as np

        values = [0.31, 0.02, 0.17, 0.11, 0.26, 0.08, 0.4]
        found = minimum(0, list(values), smaller_is_harder=False)
        low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
        assert (found.median, *found.quartiles) == pytest.approx((middle, low, high))

    def test_unbroken_clips_lie_beyond_all_others(self) -> None:
        found = minimum(0, [None, 0.3, None, 0.1, 0.2], smaller_is_harder=False)
        assert (found.unbroken, found.median, found.quartiles) == (2, 0.3, (0.2, None))
        found = minimum(0, [None, None, 0.1], smaller_is_harder=False)
        assert (found.median, found.quartiles) == (None, (None, None))

    def test_of_snrs_the_largest_comes_first(self) -> None:
        found = minimum(0, [None, 30.0, 60.0, 40.0, 50.0], smaller_is_harder=True)
        assert (found.median, found.quartiles) == (40, (50, 30))

    def test_of_no_clips_there_is_none(self) -> None:
        found = minimum(0, [], smaller_is_harder=False)
        assert (found.right_before, found.median, found.quartiles) == (0, None, (None, None))
