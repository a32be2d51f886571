"""Sentences that rank, and those that refuse; and that chance ranks nothing."""

from collections.abc import Sequence

import numpy as np
import pytest
from scipy.stats import binom

from models.attacks.fgsm import Fgsm
from models.audit import AuditRow
from models.audit.comparison import Outcomes, Ranked, common, deltas, ranking
from models.corruptions.gain import Gain
from tests.models.audit.comparison.audits import clip, outcomes
from tests.models.audit.rows import LABELS, row, under

NAMES = {"one": "A", "two": "B"}


def ranked(rows_a: Sequence[AuditRow], rows_b: Sequence[AuditRow]) -> list[Ranked]:
    found = common([outcomes("one", rows_a), outcomes("two", rows_b)])
    return ranking(deltas(found), NAMES)


def audit_that_breaks(broken: float, *, speakers: int = 12, seed: int = 0) -> list[AuditRow]:
    """Twenty clips of each speaker, of which so many are broken by FGSM."""
    draws = np.random.default_rng(seed)
    return [
        clip(n, "ab"[n % 2], "ab"[n % 2], "c" if draws.random() < broken else "ab"[n % 2],
             "ab"[n % 2], speaker=f"s{n % speakers}")
        for n in range(20 * speakers)
    ]  # fmt: skip


class TestSentences:
    def test_rank_where_the_difference_is_larger_than_chance_makes(self) -> None:
        clean, worst = ranked(audit_that_breaks(0.8), audit_that_breaks(0.3, seed=1))
        assert worst.better == "two"
        assert worst.sentence.startswith(
            "At 0.1 sigma (features linf), worst case, B is more robust than A: UAR of B minus"
            " that of A is +0."
        )
        assert "(240 clips, 12 speakers, Holm p " in worst.sentence
        assert worst.sentence.endswith(" of 9 comparisons).")
        assert clean.better is None
        assert clean.sentence.startswith("Do not rank A and B on the clips as they are: ")

    def test_name_the_better_one_whichever_comes_first(self) -> None:
        _, worst = ranked(audit_that_breaks(0.3, seed=1), audit_that_breaks(0.8))
        assert worst.better == "one"
        assert "A is more robust than B" in worst.sentence

    def test_refuse_where_the_interval_holds_0(self) -> None:
        _, worst = ranked(audit_that_breaks(0.5), audit_that_breaks(0.52, seed=1))
        assert worst.better is None
        assert worst.sentence.startswith("Do not rank A and B at 0.1 sigma (features linf)")

    def test_refuse_where_so_many_comparisons_find_as_much_by_chance(self) -> None:
        """B breaks a twentieth less, on most speakers and not on all."""
        fewer = [3, 3, -1, 2, 0, 3, -1, 2, 3, 0, 2, -1]
        rows = [
            [
                clip(n, "a", "a", "b" if n // 12 < 10 - gain * fewer[n % 12] else "a", "a",
                     speaker=f"s{n % 12}")
                for n in range(240)
            ]
            for gain in (0, 1)
        ]  # fmt: skip
        found = common([outcomes("one", rows[0]), outcomes("two", rows[1])])
        (alone,) = [one for one in deltas(found, figures=["uar"]) if one.case == "worst_case"]
        assert alone.interval is not None
        assert alone.interval[0] > 0
        assert alone.p is not None
        assert alone.p < 0.05
        assert alone.p_holm is not None
        assert alone.p_holm > 0.05
        assert not alone.differs

    def test_say_what_few_speakers_do_not_tell(self) -> None:
        few = ranked(
            audit_that_breaks(0.9, speakers=3), audit_that_breaks(0.1, speakers=3, seed=1)
        )[1]
        assert few.better == "two"
        assert few.sentence.endswith(
            "With fewer than 5 speakers it says nothing of other speakers."
        )

    def test_say_it_too_where_all_draws_agree(self) -> None:
        """Every clip of A is broken and none of B, by three speakers: `method` is newcombe."""
        few = ranked(audit_that_breaks(1, speakers=3), audit_that_breaks(0, speakers=3))[1]
        assert few.n_speakers == 3
        assert few.sentence.endswith(
            "With fewer than 5 speakers it says nothing of other speakers."
        )

    def test_are_by_success_where_there_are_no_labels(self) -> None:
        rows = [
            [one.model_copy(update={"label": None}) for one in audit_that_breaks(share)]
            for share in (0.9, 0.1)
        ]
        (worst,) = ranked(*rows)
        assert (worst.figure, worst.better) == ("success_rate", "two")

    def test_noise_and_single_attacks_have_none_and_corruptions_do(self) -> None:
        attacks = (Gain(db=(-20.0,)),)
        rows = [
            row("a", "a", [under(0, -20.0, "a")], index=n, speaker=f"s{n % 6}") for n in range(12)
        ]
        found = common([outcomes("one", rows, attacks), outcomes("two", rows, attacks)])
        told = [(one.case, one.attack) for one in ranking(deltas(found), NAMES)]
        assert told == [("clean", None), ("point", "gain")]
        assert all(one.attack is None for one in ranked(*[audit_that_breaks(0.5)] * 2))


MODELS, DRAWS, SPEAKERS, CLIPS = 5, 50, 12, 10
FGSM = (Fgsm(epsilon=(0.1,)),)


def equal_models(seed: int) -> list[Outcomes]:
    """Five audits of models that are equally good: the odds of a clip hang on its speaker, and on
    how well the model does on that speaker, which says nothing of others."""
    draws = np.random.default_rng(seed)
    n = SPEAKERS * CLIPS
    speaker, truth = np.arange(n) % SPEAKERS, np.arange(n) // SPEAKERS % 2
    shared = draws.normal(size=SPEAKERS)
    found = []
    for model in range(MODELS):
        odds = (shared + draws.normal(scale=0.5, size=SPEAKERS))[speaker]
        right = draws.random((2, n)) < 1 / (1 + np.exp(-odds))
        clean, attacked = (np.where(one, truth, 2) for one in right)
        rows = [
            row(
                LABELS[truth[at]],
                LABELS[clean[at]],
                [under(0, 0.1, LABELS[attacked[at]])],
                index=at,
                speaker=str(speaker[at]),
            )
            for at in range(n)
        ]
        found.append(outcomes(str(model), rows, FGSM))
    return found


def ranks_any(seed: int) -> bool:
    """Whether one of ten pairs is ranked, by UAR alone: success and flips would have p adjusted for
    more comparisons."""
    names = {str(number): "ABCDE"[number] for number in range(MODELS)}
    found = deltas(common(equal_models(seed)), figures=["uar"])
    return any(one.better for one in ranking(found, names))


@pytest.mark.slow
def test_chance_ranks_one_of_five_equal_models_in_no_more_than_one_audit_in_twenty() -> None:
    """Fails if the rate of 5 % would exceed this number in one of a thousand runs."""
    assert sum(map(ranks_any, range(DRAWS))) <= binom.ppf(0.999, DRAWS, 0.05)
