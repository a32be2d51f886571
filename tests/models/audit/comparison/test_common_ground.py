"""What audits have in common: clips, attacks, worst cases."""

import numpy as np
import pytest

from models.attacks.fgsm import Fgsm
from models.attacks.noise import Noise
from models.attacks.pgd import Pgd
from models.audit import AuditRow, Summary
from models.audit.comparison import IncomparableError, common, deltas
from models.audit.result import Scale
from tests.models.audit.comparison.audits import ATTACKS, clip, outcomes
from tests.models.audit.rows import LABELS, row, under

ROWS = [clip(n, "a", "a", "b", "a", speaker=f"s{n}") for n in range(6)]


class TestClips:
    def test_that_one_audit_lacks_are_left_out(self) -> None:
        found = common([outcomes("A", ROWS[:5]), outcomes("B", ROWS[2:])])
        assert list(found.clips) == ["2.wav", "3.wav", "4.wav"]
        assert (len(found), found.n_speakers) == (3, 3)

    def test_are_the_same_whatever_their_order(self) -> None:
        found = common([outcomes("A", ROWS), outcomes("B", ROWS[::-1])])
        assert found.index(0).tolist() == found.index(1).tolist() == [0, 1, 2, 3, 4, 5]
        assert {one.value for one in deltas(found)} == {0.0}

    def test_with_another_label_are_others(self) -> None:
        other = [*ROWS[1:], clip(0, "b", "b", "a", "b", speaker="s0")]
        assert len(common([outcomes("A", ROWS), outcomes("B", other)])) == 5

    def test_of_the_same_name_are_counted_off(self) -> None:
        twice = [ROWS[0], ROWS[0].model_copy(update={"index": 1})]
        found = common([outcomes("A", twice), outcomes("B", [*twice, twice[0]])])
        assert found.index(0).tolist() == [0, 1]

    def test_are_known_by_what_the_caller_says(self) -> None:
        one, other = outcomes("A", []), outcomes("B", [])
        for number, each in enumerate(ROWS):
            one.add(each, f"sha {number}")
            other.add(each, f"sha {number + 1}")
        assert len(common([one, other])) == 5

    def test_without_any_are_refused(self) -> None:
        with pytest.raises(IncomparableError) as refused:
            common([outcomes("A", ROWS), outcomes("B", ROWS), outcomes("C", [])])
        assert (refused.value.code, refused.value.audit) == ("no_common_clips", 2)


class TestLabels:
    def test_in_another_order_are_the_same(self) -> None:
        found = common([outcomes("A", ROWS), outcomes("B", ROWS, labels=LABELS[::-1])])
        assert {one.value for one in deltas(found)} == {0.0}

    def test_that_are_others_are_refused(self) -> None:
        with pytest.raises(IncomparableError) as refused:
            common([outcomes("A", ROWS), outcomes("B", ROWS, labels=(*LABELS, "d"))])
        assert (refused.value.code, refused.value.audit) == ("other_labels", 1)
        assert "a, b, c, d" in str(refused.value)


class TestPoints:
    def test_with_other_parameters_are_others(self) -> None:
        attacks = (Fgsm(epsilon=(0.1,), clip=0.5), ATTACKS[1])
        found = common([outcomes("A", ROWS), outcomes("B", ROWS, attacks)])
        assert [key.type for key in found.keys] == ["noise"]

    def test_of_other_strengths_are_others(self) -> None:
        attacks = (Fgsm(epsilon=(0.2,)), Noise(epsilon=(0.1,)))
        rows = [row("a", "a", [under(0, 0.2, "b"), under(1, 0.1, "a")], index=n) for n in range(6)]
        found = common([outcomes("A", ROWS), outcomes("B", rows, attacks)])
        assert [(key.type, key.strength) for key in found.keys] == [("noise", 0.1)]

    def test_are_matched_whatever_their_place(self) -> None:
        turned = [
            row("a", "a", [under(0, 0.1, "a"), under(1, 0.1, "b")], index=n, speaker=f"s{n}")
            for n in range(6)
        ]
        found = common([outcomes("A", ROWS), outcomes("B", turned, ATTACKS[::-1])])
        assert {one.value for one in deltas(found)} == {0.0}


MANY = (
    Fgsm(epsilon=(0.1, 0.2)),
    Pgd(epsilon=(0.1, 0.2), steps=2),
    Noise(epsilon=(0.1,)),
    Pgd(snr_db=(20.0, 10.0), domain="waveform", norm="l2", steps=2),
)


def many(seed: int, n: int = 60) -> list[AuditRow]:
    """Clips under several attacks, at random; some without a label, some wrong before."""
    draws = np.random.default_rng(seed)
    told = [(number, at) for number, one in enumerate(MANY) for at in one.strengths]
    return [
        row(
            str(draws.choice(["a", "b"])) if draws.random() < 0.9 else None,
            str(draws.choice(["a", "b", "c"])),
            [under(number, at, str(draws.choice(["a", "b", "c"]))) for number, at in told],
            index=place,
            speaker=f"s{place % 8}",
        )
        for place in range(n)
    ]


class TestWorstCase:
    def test_is_that_of_the_result_where_all_attacks_are_common(self) -> None:
        rows = many(1)
        summary = Summary(LABELS, MANY)
        for one in rows:
            summary.add(one)
        result = summary.result(
            of=len(rows), scale=Scale(lowest=1, median=1, highest=1), seconds={}
        )
        found = deltas(common([outcomes("A", rows, MANY), outcomes("B", rows, MANY)]))
        told: dict[tuple[str, float | None, str], float | None] = {
            (str(one.threat), one.strength, one.figure): one.of_a
            for one in found
            if one.case == "worst_case"
        }
        assert len(result.worst_case) == 4
        for case in result.worst_case:
            for figure, value in (("uar", case.uar), ("success_rate", case.success_rate)):
                assert told[str(case.threat), case.strength, figure] == pytest.approx(value)

    def test_is_taken_over_the_attacks_that_all_audits_have(self) -> None:
        rows = many(2)
        less = [one.model_copy(update={"attacked": one.attacked[:2]}) for one in rows]
        found = deltas(common([outcomes("A", rows, MANY), outcomes("B", less, MANY[:1])]))
        worst = [one for one in found if one.case == "worst_case"]
        assert {one.threat and one.threat.domain for one in worst} == {"features"}
        assert {one.value for one in worst} == {0.0}

    def test_leaves_out_clips_that_an_audit_did_not_come_to(self) -> None:
        short = [*ROWS[:5], ROWS[5].model_copy(update={"attacked": []})]
        found = deltas(common([outcomes("A", ROWS), outcomes("B", short)]))
        n = {(one.case, one.attack): one.n for one in found}
        assert n == {("clean", None): 6, ("worst_case", None): 5, ("point", "fgsm"): 5,
                     ("point", "noise"): 5}  # fmt: skip


def test_without_labels_success_is_compared_and_no_uar() -> None:
    before = [clip(n, None, "a", "b", "a") for n in range(6)]
    after = [clip(n, None, "c", "c", "c") for n in range(6)]
    found = deltas(common([outcomes("A", before), outcomes("B", after)]))
    assert {one.figure for one in found} == {"success_rate", "flip_rate"}
    (worst,) = [one for one in found if one.case == "worst_case"]
    assert (worst.of_a, worst.of_b, worst.n) == (1.0, 0.0, 6)
