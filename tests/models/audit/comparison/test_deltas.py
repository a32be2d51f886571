"""Differences between audits: values by hand of rows, intervals by speakers."""

import json
from collections.abc import Sequence

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score

from models.audit import AuditRow
from models.audit.comparison import Delta, common, crossed, deltas
from tests.models.audit.comparison.audits import clip, outcomes

# Label, and for each audit the clean prediction, that under FGSM, and that under noise.
CLIPS = [
    ("a", "aba", "aba"), ("a", "aba", "aaa"), ("a", "aba", "aaa"), ("a", "aba", "aaa"),
    ("a", "aaa", "aca"), ("b", "bbb", "bbb"), ("b", "bab", "bbb"), ("b", "abb", "bcb"),
    ("b", "bbb", "abb"), ("a", "aaa", "aaa"), ("b", "bbb", "bba"), ("a", "bbb", "cca"),
]  # fmt: skip


def audit_of(place: int, clips: Sequence[tuple[str, str, str]] = CLIPS) -> list[AuditRow]:
    return [
        clip(number, one[0], *one[1 + place], speaker=f"s{number % 6}")
        for number, one in enumerate(clips)
    ]


A, B = audit_of(0), audit_of(1)


def found(rows_a: Sequence[AuditRow] = A, rows_b: Sequence[AuditRow] = B) -> list[Delta]:
    return deltas(common([outcomes("A", rows_a), outcomes("B", rows_b)]))


def the(figure: str, attack: str | None = "fgsm", case: str = "point") -> Delta:
    (one,) = [
        one for one in found() if (one.case, one.figure, one.attack) == (case, figure, attack)
    ]
    return one


def uar_of(rows: Sequence[AuditRow], *, clean: bool) -> float:
    said = [one.clean.label if clean else one.attacked[0].label for one in rows]
    kept = [(one.label, label) for one, label in zip(rows, said, strict=True)]
    # scikit-learn warns of predictions that are no one's label
    per_class = {
        label: np.mean([guess == truth for truth, guess in kept if truth == label])
        for label in ("a", "b")
    }
    mean = float(np.mean(list(per_class.values())))
    if all(guess in {"a", "b"} for _, guess in kept):
        assert mean == pytest.approx(balanced_accuracy_score(*zip(*kept, strict=True)))
    return mean


class TestValue:
    def test_of_uar_is_that_of_the_rows(self) -> None:
        one = the("uar")
        assert one.of_a == pytest.approx(uar_of(A, clean=False))
        assert one.of_b == pytest.approx(uar_of(B, clean=False))
        assert one.value == pytest.approx(uar_of(B, clean=False) - uar_of(A, clean=False))
        assert (one.n, one.n_speakers, one.method) == (12, 6, "bootstrap_speakers")
        clean = the("uar", attack=None, case="clean")
        assert clean.value == pytest.approx(uar_of(B, clean=True) - uar_of(A, clean=True))

    def test_of_success_is_over_the_clips_that_both_had_right(self) -> None:
        one = the("success_rate")
        both = [
            (a.attacked[0].success, b.attacked[0].success)
            for a, b in zip(A, B, strict=True)
            if a.right_before and b.right_before
        ]
        assert (one.n, len(both)) == (9, 9)
        assert one.of_a == sum(bool(a) for a, _ in both) / 9 == 5 / 9
        assert one.of_b == sum(bool(b) for _, b in both) / 9 == 2 / 9
        assert (one.mcnemar.b, one.mcnemar.c) == (4, 1)

    def test_of_flips_is_over_all_clips(self) -> None:
        one = the("flip_rate")
        flips = [sum(row.attacked[0].label != row.clean.label for row in rows) for rows in (A, B)]
        assert (one.n, one.of_a, one.of_b) == (12, flips[0] / 12, flips[1] / 12)

    def test_of_the_other_way_round_is_the_negative(self) -> None:
        turned = found(B, A)
        for one, other in zip(found(), turned, strict=True):
            assert other.value == pytest.approx(-(one.value or 0))
            assert other.interval is not None
            assert one.interval is not None
            assert other.interval == pytest.approx((-one.interval[1], -one.interval[0]), abs=0.03)
            assert (other.mcnemar.b, other.mcnemar.c) == (one.mcnemar.c, one.mcnemar.b)


class TestInterval:
    def test_is_paired_so_what_makes_a_speaker_hard_for_both_cancels(self) -> None:
        """Speakers are all right or all wrong, and B has one more clip of each right."""
        hard = [("a", "aaa", "aaa"), ("a", "aba", "aba")]
        rows = [[], []]  # type: list[list[AuditRow]]
        for number in range(120):
            speaker, take = divmod(number, 10)
            for place in (0, 1):
                right = "a" if speaker % 2 or (take == 0 and place) else "b"
                rows[place].append(clip(number, "a", "a", right, "a", speaker=f"s{speaker}"))
        assert hard
        (one,) = [one for one in found(*rows) if (one.attack, one.figure) == ("fgsm", "uar")]
        assert one.value == pytest.approx(0.05)
        assert one.interval is not None
        assert one.interval[1] - one.interval[0] < 0.1  # of each UAR by itself it is .6

    def test_of_audits_that_agree_on_every_clip_holds_0_and_has_a_width(self) -> None:
        for one in found(A, A):
            assert (one.value, one.method, one.p) == (0.0, "newcombe", 1.0)
            assert one.interval is not None
            assert one.interval[0] < 0 < one.interval[1]
            assert not one.differs

    def test_of_clips_without_speakers_draws_clips(self) -> None:
        rows = [[one.model_copy(update={"speaker": None}) for one in some] for some in (A, B)]
        assert {one.method for one in found(*rows)} <= {"bootstrap_clips", "newcombe"}


class TestHolm:
    def test_counts_every_comparison_of_every_pair(self) -> None:
        three = common([outcomes("A", A), outcomes("B", B), outcomes("C", A)])
        every = deltas(three)
        assert len(every) == 3 * (1 + 2 + 3 + 3)
        least = min(every, key=lambda one: one.p or 0.0)
        assert least.p_holm == pytest.approx(min(1.0, (least.p or 0.0) * len(every)))

    def test_counts_what_was_asked_for_alone(self) -> None:
        both = common([outcomes("A", A), outcomes("B", B)])
        assert len(deltas(both, figures=["uar"])) == 4

    def test_with_a_baseline_are_those_with_it(self) -> None:
        three = common([outcomes("A", A), outcomes("B", B), outcomes("C", A)])
        assert {(one.a, one.b) for one in deltas(three, [(0, 1), (0, 2)])} == {
            ("A", "B"), ("A", "C"),
        }  # fmt: skip


class TestCrossed:
    def test_every_count_is_what_the_rows_add_up_to(self) -> None:
        fgsm = next(one for one in crossed(common([outcomes("A", A), outcomes("B", B)]), [(0, 1)])
                    if one.attack == "fgsm")  # fmt: skip
        cells: dict[tuple[bool, bool], list[int]] = {}
        for a, b in zip(A, B, strict=True):
            if a.right_before and b.right_before:
                key = (a.attacked[0].label != a.label, b.attacked[0].label != b.label)
                cells.setdefault(key, []).append(a.index)
        told = {
            (True, True): fgsm.both,
            (True, False): fgsm.only_a,
            (False, True): fgsm.only_b,
            (False, False): fgsm.neither,
        }
        assert {key: [one.a for one in cell.clips] for key, cell in told.items()} == cells
        assert {key: cell.n for key, cell in told.items()} == {k: len(v) for k, v in cells.items()}
        assert fgsm.n == sum(map(len, cells.values()))

    def test_names_of_clips_are_bounded(self) -> None:
        rows = [clip(n, "a", "a", "b", "a", speaker=f"s{n % 9}") for n in range(400)]
        many = crossed(common([outcomes("A", rows), outcomes("B", rows)]), [(0, 1)])
        assert many[0].both.n == 400
        assert len(many[0].both.clips) == 50
        # Of so many pairs, 5 names a cell are left.
        (one, *_) = crossed(common([outcomes("A", rows), outcomes("B", rows)]), [(0, 1)] * 150)
        assert len(one.both.clips) == 5

    def test_is_plain_json(self) -> None:
        for one in [*found(), *crossed(common([outcomes("A", A), outcomes("B", B)]), [(0, 1)])]:
            json.dumps(one.model_dump(mode="json"), allow_nan=False)
