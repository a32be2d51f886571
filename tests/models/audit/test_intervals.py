"""Intervals: Wilson's, and a bootstrap over speakers that covers what it says."""

import math

import numpy as np
import pytest

from models.audit.figure import mean, share
from models.audit.intervals import (
    Floats,
    Ints,
    Units,
    bootstrap,
    drawn,
    mcnemar,
    mean_recall,
    newcombe,
    newcombe_near,
    normal,
    wilson,
    wilson_near,
)


@pytest.mark.parametrize(("counted", "n"), [(0, 5), (1, 5), (29, 48), (48, 48)])
def test_wilsons_interval_is_the_one_of_his_formula(counted: int, n: int) -> None:
    z, p = 1.959963984540054, counted / n
    middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    assert wilson(counted, n) == pytest.approx((max(0, middle - half), min(1, middle + half)))


def test_the_interval_of_a_mean_is_the_one_of_the_formula() -> None:
    assert normal(np.array([0.0, 1.0, 2.0])) == pytest.approx(
        (1 - 1.959963984540054 / math.sqrt(3), 1 + 1.959963984540054 / math.sqrt(3))
    )
    assert normal(np.array([1.0])) is None


def test_newcombes_interval_is_the_one_of_his_formula() -> None:
    # Square-and-add of the two Wilson intervals (Newcombe 1998, Eq. 10), written out
    (a, b), (c, d) = (wilson(9, 10) or (0, 0)), (wilson(4, 10) or (0, 0))
    low = 0.5 - math.sqrt((0.9 - a) ** 2 + (d - 0.4) ** 2)
    high = 0.5 + math.sqrt((b - 0.9) ** 2 + (0.4 - c) ** 2)
    assert newcombe(9, 4, 10) == pytest.approx((low, high))


def test_of_a_share_that_is_no_count_they_are_of_the_nearest_and_hold_it() -> None:
    assert (wilson_near(0.4, 10), newcombe_near(0.9, 0.4, 10)) == (
        wilson(4, 10),
        newcombe(9, 4, 10),
    )
    assert wilson_near(0.44, 10) == wilson(4, 10)
    assert wilson_near(0.04, 10) == wilson(0, 10)
    assert (wilson_near(0.5, 0), wilson_near(math.nan, 3)) == (None, None)
    assert newcombe_near(math.nan, 0.5, 3) is None


class TestUnits:
    def test_are_speakers(self) -> None:
        units = Units.speakers(np.array([7, 7, 3, 1, 0, 2, 3]))
        assert (units.count, units.method) == (5, "bootstrap_speakers")
        assert units.cells(np.array([0, 1, 0, 0, 1, 1, 0]), 2).tolist() == [
            [0, 1], [1, 0], [0, 1], [2, 0], [1, 1],
        ]  # fmt: skip

    def test_are_clips_where_a_speaker_is_not_known(self) -> None:
        units = Units.speakers(np.array([0, 1, 2, 3, 4, -1]))
        assert (units.count, units.method) == (6, "bootstrap_clips")

    def test_are_clips_of_fewer_than_five_speakers_and_that_is_said(self) -> None:
        units = Units.speakers(np.array([0, 0, 1, 2, 3]))
        assert (units.count, units.method) == (5, "bootstrap_clips_few_speakers")

    def test_of_very_many_clips_are_a_thousand_groups_of_equal_size(self) -> None:
        units = Units.clips(50_000)
        assert units.count == 1_000
        assert set(np.bincount(units.of).tolist()) == {50}


def by_speaker(clips: int, speakers: int, effect: float, seed: int) -> tuple[Ints, Ints, Ints]:
    """Speaker, class and whether the model is right, of clips: its odds hang on the speaker."""
    draws = np.random.default_rng(seed)
    speaker = np.repeat(np.arange(speakers), clips)
    odds = 0.5 + effect * draws.normal(size=speakers)
    right = draws.random(len(speaker)) < 1 / (1 + np.exp(-odds[speaker]))
    return speaker, np.tile(np.arange(clips) % 6, speakers), right.astype(np.int64)


def uar(sums: Floats) -> Floats:
    return mean_recall(sums.reshape(*sums.shape[:-1], 6, 2))


class TestBootstrap:
    def test_the_same_clips_have_the_same_interval(self) -> None:
        speaker, truth, right = by_speaker(24, 12, 1.0, 0)
        sums = Units.speakers(speaker).cells(truth * 2 + right, 12)
        assert bootstrap(sums, uar) == bootstrap(sums.copy(), uar)

    def test_draws_are_of_whole_speakers(self) -> None:
        # Each speaker is right on all or on none, so that a draw is a share of speakers.
        sums = np.array([[0.0, 10.0]] * 4 + [[10.0, 0.0]] * 4)
        found = drawn(sums, lambda s: s[..., 1] / s.sum(axis=-1))
        assert set(np.round(found * 8, 9)) <= set(range(9))
        assert found.std() == pytest.approx(math.sqrt(0.25 / 8), rel=0.05)

    def test_kinds_of_clips_are_drawn_as_clips_are(self) -> None:
        clips = np.zeros((400, 2))
        clips[np.arange(400), np.arange(400) % 4 // 3] = 1.0  # a quarter is right
        found = drawn(clips, lambda s: s[..., 1] / s.sum(axis=-1))
        assert found.mean() == pytest.approx(0.25, abs=0.002)
        assert found.std() == pytest.approx(math.sqrt(0.25 * 0.75 / 400), rel=0.05)

    def test_where_all_draws_are_the_same_there_is_no_interval(self) -> None:
        assert bootstrap(np.array([[0.0, 3.0]] * 9), lambda s: s[..., 1] / s.sum(axis=-1)) is None

    @pytest.mark.slow
    def test_it_covers_95_percent_where_one_over_clips_does_not(self) -> None:
        """2,000 audits of 12 speakers who differ as those of acted corpora do."""
        truth = 1 / (1 + np.exp(-(0.5 + np.random.default_rng(9).normal(size=1_000_000))))
        target, held, held_by_clips = float(truth.mean()), 0, 0
        for seed in range(2_000):
            speaker, classes, right = by_speaker(24, 12, 1.0, seed)
            cell = classes * 2 + right
            found = bootstrap(Units.speakers(speaker).cells(cell, 12), uar)
            assert found is not None
            held += found[0] <= target <= found[1]
            if seed < 400:
                by_clips = bootstrap(Units.clips(len(speaker)).cells(cell, 12), uar)
                assert by_clips is not None
                held_by_clips += by_clips[0] <= target <= by_clips[1]
        assert 0.93 <= held / 2_000 <= 0.97
        assert held_by_clips / 400 < 0.85


class TestFigures:
    def test_a_share_of_few_speakers_says_so(self) -> None:
        yes = np.array([True, True, False])
        assert share(yes, yes | True, np.array([0, 1, 2])).method == "wilson_few_speakers"
        found = share(yes, yes | True, np.array([-1, 1, 2]))
        assert (found.method, found.n_speakers) == ("wilson", None)

    def test_a_mean_is_drawn_by_speakers_or_taken_over_clips(self) -> None:
        values = np.array([0.0, 0.1, 0.4, 0.2, 0.9, 0.3])
        found = mean(values, np.arange(6))
        assert (found.method, found.n_speakers) == ("bootstrap_speakers", 6)
        assert mean(values, np.full(6, -1)).method == "normal"
        assert mean(values, np.zeros(6, dtype=np.int64)).method == "normal_few_speakers"


class TestMcNemar:
    def test_nothing_differs_by_chance_alone(self) -> None:
        assert mcnemar(0, 0) == 1.0

    def test_it_is_the_sum_of_both_tails(self) -> None:
        assert mcnemar(1, 5) == pytest.approx(2 * (1 + 6) / 2**6)
        assert mcnemar(5, 1) == mcnemar(1, 5)
