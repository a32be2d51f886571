"""Each clip under whichever attack breaks it: never better than under any of them alone."""

import random
from collections.abc import Sequence
from typing import ClassVar

import pytest

from models.attacks import Attack, TargetLabel
from models.attacks.fgsm import Fgsm
from models.attacks.noise import Noise
from models.attacks.pgd import Pgd
from models.audit import AuditRow, points, summarize
from models.audit.result import AuditSummary, Scale, WorstCase
from models.audit.table import Columns
from models.audit.worst_case import worst_cases
from tests.models.audit.rows import LABELS, row, under

FGSM, PGD = Fgsm(epsilon=(0.1, 0.2)), Pgd(epsilon=(0.1, 0.3))


def worst(attacks: Sequence[Attack], *rows: AuditRow) -> list[WorstCase]:
    curve = [(point.attack, point.strength) for point in points(attacks)]
    columns = Columns(LABELS, attacks, curve)
    for one in rows:
        columns.add(one)
    return worst_cases(columns, attacks, {point: place for place, point in enumerate(curve)})


def clip(label: str | None, clean: str, fgsm: tuple[str, str], pgd: tuple[str, str]) -> AuditRow:
    """A clip under `FGSM` and `PGD`."""
    return row(
        label,
        clean,
        [
            *[under(0, at, said) for at, said in zip((0.1, 0.2), fgsm, strict=True)],
            *[under(1, at, said) for at, said in zip((0.1, 0.3), pgd, strict=True)],
        ],
    )


class TestWorstCase:
    ROWS: ClassVar = [
        clip("a", "a", ("a", "b"), ("a", "a")),  # FGSM breaks it at .2
        clip("a", "a", ("a", "a"), ("b", "b")),  # PGD at .1
        clip("b", "b", ("b", "b"), ("b", "c")),  # PGD at .3
        clip("b", "b", ("b", "b"), ("b", "b")),  # none
        clip("b", "c", ("b", "b"), ("b", "b")),  # wrong before, and repaired
    ]

    def test_counts_all_attacks_no_harder_than_each_strength(self) -> None:
        found = worst((FGSM, PGD), *self.ROWS)
        assert [(case.strength, case.broken_by) for case in found] == [
            (0.1, {"1": 1}),
            (0.2, {"0": 1, "1": 1}),
            (0.3, {"0": 1, "1": 2}),
        ]
        assert [case.right_before for case in found] == [4, 4, 4]
        assert [case.success_rate for case in found] == [1 / 4, 2 / 4, 3 / 4]

    def test_its_uar_is_that_of_the_clips_that_withstand_all(self) -> None:
        found = worst((FGSM, PGD), *self.ROWS)
        assert [case.uar for case in found] == pytest.approx(
            [(1 / 2 + 2 / 3) / 2, (0 + 2 / 3) / 2, (0 + 1 / 3) / 2]
        )

    def test_a_clip_that_was_wrong_is_not_repaired(self) -> None:
        (case,) = worst((Fgsm(epsilon=(0.1,)),), row("a", "b", [under(0, 0.1, "a")]))
        assert (case.uar, case.success_rate, case.right_before) == (0, None, 0)

    def test_who_breaks_a_clip_first_has_the_weakest_strength(self) -> None:
        both = clip("a", "a", ("a", "b"), ("b", "b"))
        assert worst((FGSM, PGD), both)[-1].broken_by == {"1": 1}

    def test_of_two_at_the_same_strength_the_first_of_the_request(self) -> None:
        both = clip("a", "a", ("b", "b"), ("b", "b"))
        assert worst((FGSM, PGD), both)[-1].broken_by == {"0": 1}

    def test_a_clip_that_a_greater_strength_does_not_break_any_more_stays_broken(self) -> None:
        found = worst((FGSM, PGD), clip("a", "a", ("b", "a"), ("a", "a")))
        assert [case.uar for case in found] == [0, 0, 0]

    def test_an_snr_is_harder_the_smaller_it_is(self) -> None:
        attack = Fgsm(domain="waveform", snr_db=(20.0, 40.0, 30.0))
        outcomes = [under(0, 40.0, "a"), under(0, 30.0, "b"), under(0, 20.0, "a")]
        found = worst((attack,), row("a", "a", outcomes))
        assert [(case.strength, case.success_rate) for case in found] == [
            (40.0, 0), (30.0, 1), (20.0, 1),
        ]  # fmt: skip

    def test_each_threat_model_has_its_own(self) -> None:
        attacks = (
            Fgsm(epsilon=(0.1,)),
            Fgsm(norm="l2", epsilon=(0.1,)),
            Fgsm(domain="waveform", epsilon=(0.1,)),
        )
        outcomes = [under(0, 0.1, "a"), under(1, 0.1, "b"), under(2, 0.1, "a")]
        found = worst(attacks, row("a", "a", outcomes))
        assert [case.threat.model_dump() for case in found] == [
            {"domain": "features", "norm": "linf", "unit": "sigma"},
            {"domain": "features", "norm": "l2", "unit": "sigma"},
            {"domain": "waveform", "norm": "linf", "unit": "full_scale"},
        ]
        assert [case.broken_by for case in found] == [{}, {"1": 1}, {}]

    def test_controls_are_no_adversaries(self) -> None:
        noise = Noise(epsilon=(0.1, 0.4))
        outcomes = [under(0, 0.1, "b"), under(0, 0.4, "b"), under(1, 0.1, "a")]
        found = worst((noise, Fgsm(epsilon=(0.1,))), row("a", "a", outcomes))
        assert [(case.strength, case.success_rate) for case in found] == [(0.1, 0)]
        assert worst((noise,), row("a", "a", outcomes[:2])) == []

    def test_whoever_missed_a_target_and_made_the_model_wrong_counts(self) -> None:
        attack = Fgsm(epsilon=(0.1,), goal=TargetLabel(label="c"))
        (case,) = worst((attack,), row("a", "a", [under(0, 0.1, "b", success=False)]))
        assert (case.uar, case.broken_by) == (0, {"0": 1})


class TestRowsOfAnAuditThatEndedEarly:
    def test_are_left_out_where_an_attack_is_missing(self) -> None:
        part = row("a", "a", [under(0, 0.1, "a"), under(0, 0.2, "a"), under(1, 0.1, "a")])
        found = worst((FGSM, PGD), clip("a", "a", ("b", "b"), ("b", "b")), part)
        assert [(case.strength, case.n, case.uar) for case in found] == [
            (0.1, 2, 0.5),
            (0.2, 2, 0.5),
            (0.3, 1, 0),
        ]

    def test_without_any_row_nothing_is_said(self) -> None:
        (case,) = worst((Fgsm(epsilon=(0.1,)),))
        assert (case.n, case.uar, case.success_rate, case.broken_by) == (0, None, None, {})


class TestLabels:
    ATTACK: ClassVar = Fgsm(epsilon=(0.1,))
    BROKEN: ClassVar = row(None, "a", [under(0, 0.1, "b")])
    WHOLE: ClassVar = row("a", "a", [under(0, 0.1, "a")])

    def test_success_is_over_the_labelled_clips_as_on_the_curve(self) -> None:
        (case,) = worst((self.ATTACK,), self.BROKEN, self.WHOLE)
        assert (case.n, case.right_before, case.success_rate) == (2, 1, 0)
        assert (case.uar, case.broken_by) == (1, {})

    def test_or_over_all_if_none_has_one(self) -> None:
        (case,) = worst((self.ATTACK,), self.BROKEN, row(None, "c", [under(0, 0.1, "c")]))
        assert (case.uar, case.right_before, case.success_rate) == (None, 2, 0.5)
        assert case.broken_by == {"0": 1}


def random_audit(seed: int) -> AuditSummary:
    """Of clips on which attacks do whatever they like."""
    draw = random.Random(seed)
    attacks = [
        Fgsm(epsilon=(0.1, 0.3)),
        Pgd(epsilon=(0.2, 0.3)),
        Fgsm(epsilon=(0.1,), labels="predicted"),
        Noise(epsilon=(0.1,)),
        Pgd(domain="waveform", snr_db=(40.0, 20.0)),
        Fgsm(domain="waveform", snr_db=(30.0, 20.0)),
    ]
    rows = [
        row(
            draw.choice(LABELS),
            draw.choice(LABELS),
            [
                under(number, strength, draw.choice(LABELS))
                for number, attack in enumerate(attacks)
                for strength in attack.strengths
            ],
        )
        for _ in range(40)
    ]
    scale = Scale(lowest=1, median=1, highest=1)
    return summarize(rows, LABELS, attacks, of=40, scale=scale, seconds={})


@pytest.mark.parametrize("seed", range(5))
def test_is_never_above_any_attack_that_is_no_harder(seed: int) -> None:
    result = random_audit(seed)
    compared = 0
    for case in result.worst_case:
        assert case.uar is not None
        assert result.clean.uar is not None
        assert case.uar <= result.clean.uar
        for point in result.curve:
            attack = result.attacks[point.attack]
            harder = (
                point.strength < case.strength
                if attack.threat.unit == "dB"
                else point.strength > case.strength
            )
            if attack.threat == case.threat and not attack.control and not harder:
                assert point.uar is not None
                assert case.uar <= point.uar
                compared += 1
    assert compared == 2 + 3 + 5 + 1 + 2 + 4
