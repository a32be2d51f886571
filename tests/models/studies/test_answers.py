"""Which clips the models of a setting are right on."""

import pytest

from models.attacks.fgsm import Fgsm
from models.attacks.noise import Noise
from models.attacks.pgd import Pgd
from models.studies.answers import CLEAN, Answers, Change, Condition, Missing, answers
from models.studies.outcome import CellOutcome
from tests.models.audit.rows import row, under
from tests.models.studies.made import audited, cell

ATTACKS = (
    Pgd(epsilon=(0.02,), steps=20),
    Fgsm(epsilon=(0.02, 0.06)),
    Pgd(epsilon=(0.02,), steps=10),
    Noise(epsilon=(0.02,)),
    Fgsm(domain="waveform", norm="linf", epsilon=(0.02,)),
)
ROWS = [
    row(
        "a",
        "a",
        [
            under(0, 0.02, "b" if n == 0 else "a"),
            under(1, 0.02, "b" if n == 1 else "a"),
            under(1, 0.06, "a"),
            under(2, 0.02, "b" if n == 2 else "a"),
            under(3, 0.02, "b" if n == 3 else "a"),
            under(4, 0.02, "b"),
        ],
        index=n,
        speaker=f"s{n}",
    )
    for n in range(5)
]


def of(*cells: CellOutcome, at: Condition = CLEAN) -> Answers:
    found = answers(cells, "test", at)
    assert isinstance(found, Answers)
    return found


def single(seed: int = 0, made: list[object] | None = None) -> CellOutcome:
    audit = audited(ROWS if made is None else made, ATTACKS)  # type: ignore[arg-type]
    return cell(seed=seed, audits={"test": audit})


class TestCondition:
    @pytest.mark.parametrize(
        ("change", "wrong"),
        [("clean", []), ("fgsm", [1]), ("pgd10", [2]), ("noise", [3]), ("worst_case", [0, 1, 2])],
    )
    def test_is_found_among_the_attacks_on_log_mels(self, change: Change, wrong: list[int]) -> None:
        found = of(single(), at=Condition(change, None if change == "clean" else 0.02))
        assert [n for n, right in enumerate(found.right[0]) if not right] == wrong

    def test_a_worst_case_counts_what_a_weaker_attack_broke(self) -> None:
        found = of(single(), at=Condition("worst_case", 0.06))
        assert found.right[0].tolist() == [False, False, False, True, True]

    def test_a_worst_case_mends_no_clip(self) -> None:
        made = [row("a", "b", [under(1, 0.02, "a")], index=0, speaker="s")]
        one = cell(audits={"test": audited(made, (Noise(epsilon=(0.01,)), Fgsm(epsilon=(0.02,))))})
        assert of(one, at=Condition("worst_case", 0.02)).right.tolist() == [[False]]
        assert of(one, at=Condition("fgsm", 0.02)).right.tolist() == [[True]]

    def test_that_was_not_audited_is_named(self) -> None:
        found = answers([single()], "test", Condition("pgd10", 0.06))
        assert found == Missing("seed 0: the audit has no PGD-10 at ε = 0.06")


class TestSeeds:
    def test_are_beside_each_other_on_the_clips_that_all_have(self) -> None:
        found = of(single(0), single(1, ROWS[1:]))  # type: ignore[arg-type]
        assert found.seeds == (0, 1)
        assert [name for name, *_ in found.clips] == [f"{n}.wav" for n in range(1, 5)]

    def test_clips_that_an_attack_did_not_come_to_are_left_out(self) -> None:
        short = [*ROWS[:4], ROWS[4].model_copy(update={"attacked": []})]
        assert len(of(single(0, short), at=Condition("fgsm", 0.02))) == 4  # type: ignore[arg-type]
        assert len(of(single(0, short))) == 5  # type: ignore[arg-type]

    def test_that_failed_are_told_beside_the_others(self) -> None:
        failed = CellOutcome(
            name="x", architecture="cnn4", training="single", epsilon=None, seed=7,
            missing="the training failed: no memory",
        )  # fmt: skip
        found = of(single(), failed)
        assert (found.seeds, found.lacking) == ((0,), ("seed 7: the training failed: no memory",))
        assert answers([failed], "test", CLEAN) == Missing("seed 7: the training failed: no memory")

    def test_without_a_cell_there_is_no_figure(self) -> None:
        assert answers([], "test", CLEAN) == Missing("not in the study")

    def test_that_were_not_audited_say_so(self) -> None:
        told = answers([single()], "dev", CLEAN)
        assert told == Missing("seed 0: not audited on dev")
        why = cell(audits={}, unaudited={"dev": "the audit was cancelled"})
        assert answers([why], "dev", CLEAN) == Missing("seed 0: the audit was cancelled")


def test_clips_without_a_label_are_not_counted() -> None:
    made = [*ROWS[:3], ROWS[3].model_copy(update={"label": None})]
    assert len(of(single(0, made))) == 3  # type: ignore[arg-type]
