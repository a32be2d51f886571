"""Intervals over speakers and seeds, against other people's bootstraps and tests."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats
from sklearn.metrics import balanced_accuracy_score
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportions_ztest

from models.studies import paper
from models.studies.answers import Answers, Missing
from models.studies.estimate import (
    OTHER_DATA,
    Difference,
    difference,
    estimate,
    mean_difference,
)

SPEAKERS, CLIPS, CLASSES = 12, 9, 3


def made(
    seed: int,
    seeds: int,
    share: float = 0.7,
    of_speaker: float = 0.15,
    of_seed: float = 0.0,
    speakers: int = SPEAKERS,
) -> Answers:
    """Models that differ by ``of_seed``, on speakers who differ by ``of_speaker``."""
    draws = np.random.default_rng(seed)
    n = speakers * CLIPS
    speaker = np.repeat(np.arange(speakers), CLIPS)
    hard = draws.normal(0, of_speaker, speakers)[speaker]
    lucky = draws.normal(0, of_seed, (seeds, 1))
    return Answers(
        clips=[(f"{one}.wav", "a", 0) for one in range(n)],
        truth=np.arange(n) % CLASSES,
        speaker=speaker,
        right=draws.random((seeds, n)) < share + hard + lucky,
        seeds=tuple(range(seeds)),
        trained_on="train",
    )


def uar(truth: NDArray[np.int64], right: NDArray[np.bool_]) -> float:
    """As scikit-learn has it: a wrong answer is some other class."""
    return float(balanced_accuracy_score(truth, np.where(right, truth, (truth + 1) % CLASSES)))


def naive(found: Answers, draws: int = 1500) -> NDArray[np.float64]:
    """Clip by clip: speakers and seeds drawn one after the other."""
    rng = np.random.default_rng(99)
    seeds, each = len(found.seeds), []
    names = np.unique(found.speaker)
    places = {name: np.flatnonzero(found.speaker == name) for name in names}
    for _ in range(draws):
        at = np.concatenate([places[name] for name in rng.choice(names, len(names))])
        models = rng.integers(seeds, size=max(1, seeds - 1))
        told = found.truth[at]
        recalls = [
            [found.right[model][at][told == one].mean() for one in range(CLASSES)]
            for model in models
        ]
        each.append(np.mean(recalls))
    return np.array(each)


class TestEstimate:
    def test_is_the_mean_over_seeds_of_scikit_learns_balanced_accuracy(self) -> None:
        found = made(1, 3)
        one = estimate(found)
        assert one.by_seed == pytest.approx([uar(found.truth, right) for right in found.right])
        assert one.value == pytest.approx(np.mean(one.by_seed))
        assert (one.seeds, one.n, one.n_speakers) == ([0, 1, 2], 108, 12)

    def test_of_one_seed_draws_speakers_as_scipys_bootstrap_does(self) -> None:
        found = made(2, 1)
        one = estimate(found)
        places = [np.flatnonzero(found.speaker == name) for name in range(SPEAKERS)]

        def statistic(drawn: NDArray[np.int64]) -> float:
            at = np.concatenate([places[name] for name in drawn])
            return uar(found.truth[at], found.right[0][at])

        told = stats.bootstrap(
            (np.arange(SPEAKERS),), statistic, n_resamples=2000, vectorized=False, rng=5,
            method="percentile",
        )  # fmt: skip
        assert one.interval is not None
        assert one.drawn == "speakers"
        spread = (one.interval[1] - one.interval[0]) / 2
        # Ours is wider by what few speakers call for: Student's quantile and √(S / (S − 1)).
        wider = stats.t.ppf(0.975, SPEAKERS - 1) / stats.norm.ppf(0.975)
        wider *= np.sqrt(SPEAKERS / (SPEAKERS - 1))
        expected = wider * stats.norm.ppf(0.975) * told.standard_error
        assert spread == pytest.approx(expected, rel=0.1)

    def test_of_three_seeds_draws_both_as_a_loop_over_clips_does(self) -> None:
        found = made(3, 3, of_seed=0.1)
        one, told = estimate(found), naive(found)
        assert one.drawn == "speakers_and_seeds"
        assert one.interval is not None
        spread = (one.interval[1] - one.interval[0]) / 2
        wider = stats.t.ppf(0.975, SPEAKERS - 1) * np.sqrt(SPEAKERS / (SPEAKERS - 1))
        assert spread == pytest.approx(wider * told.std(), rel=0.1)

    def test_seeds_that_differ_widen_it(self) -> None:
        alike, apart = made(4, 3, of_speaker=0.0), made(4, 3, of_speaker=0.0, of_seed=0.3)
        narrow, wide = estimate(alike).interval, estimate(apart).interval
        assert narrow is not None
        assert wide is not None
        assert wide[1] - wide[0] > 1.5 * (narrow[1] - narrow[0])

    def test_the_spread_of_seeds_alone_is_that_of_their_mean(self) -> None:
        """Of R seeds on speakers who are all alike, s / √R: not less by √((R − 1)/R)."""
        right = np.repeat(np.array([[1, 1, 1], [1, 1, 0], [1, 0, 0]]), 3, axis=1) > 0
        truth = np.tile(np.arange(3), 3)
        found = Answers(
            clips=[(str(n), "a", 0) for n in range(90)],
            truth=np.tile(truth, 10),
            speaker=np.repeat(np.arange(10), 9),
            right=np.tile(right, (1, 10)),
            seeds=(0, 1, 2),
            trained_on="train",
        )
        one = estimate(found)
        s = np.std(one.by_seed, ddof=1) / np.sqrt(3)
        from models.studies.estimate import _seed_weights

        drawn = _seed_weights(3, 0) @ np.array(one.by_seed)
        assert drawn.std() == pytest.approx(s, rel=0.05)

    def test_covers_the_truth_about_as_often_as_it_says(self) -> None:
        covered = [
            interval[0] <= 0.7 <= interval[1]
            for seed in range(200)
            if (interval := estimate(made(seed + 50, 3, of_seed=0.03)).interval) is not None
        ]
        assert 0.90 <= np.mean(covered) <= 0.99

    def test_where_every_answer_is_right_is_wilsons(self) -> None:
        found = made(5, 2, share=2.0)
        one = estimate(found)
        assert (one.value, one.drawn) == (1.0, "none")
        assert one.interval is not None
        assert one.interval[0] == pytest.approx(1 - 3.8415 / (108 + 3.8415), abs=1e-4)

    def test_where_a_model_says_one_class_of_all_clips_holds_its_uar(self) -> None:
        """Of 54 clips of one emotion and 12 of each of four others it is right on all of the first:
        accuracy .53, UAR .2."""
        truth = np.tile([0] * 9 + [1, 1, 2, 2, 3, 3, 4, 4], 6)
        found = Answers(
            clips=[(str(n), "a", 0) for n in range(len(truth))],
            truth=truth,
            speaker=np.repeat(np.arange(6), 17),
            right=(truth == 0)[None],
            seeds=(0,),
            trained_on="train",
        )
        one = estimate(found)
        assert one.value == pytest.approx(0.2)
        assert one.drawn == "none"
        assert one.interval is not None
        assert one.interval[0] < 0.2 < one.interval[1] < 0.5

    def test_of_fewer_than_five_speakers_draws_clips(self) -> None:
        assert estimate(made(6, 1, speakers=4)).drawn == "clips"
        assert estimate(made(6, 2, speakers=4)).drawn == "clips_and_seeds"


class TestDifference:
    def of(self, a: Answers, b: Answers) -> Difference:
        found = difference(a, b)
        assert isinstance(found, Difference)
        return found

    def test_is_taken_on_the_clips_of_both(self) -> None:
        a, b = made(1, 1), made(2, 1)
        found = self.of(a.on(a.clips[:90]), b.on(b.clips[9:][::-1]))
        assert (found.n, found.n_speakers) == (81, 9)
        assert found.value == pytest.approx(found.of_b - found.of_a)

    def test_of_a_model_and_itself_is_nothing(self) -> None:
        found = self.of(made(1, 1), made(1, 1))
        assert (found.value, found.drawn, found.p) == (0.0, "none", 1.0)
        assert found.interval is not None
        assert found.interval[0] < 0 < found.interval[1]

    def test_of_two_that_say_one_class_each_is_nothing_and_no_test_finds_one(self) -> None:
        """Of emotions with 8 and 4 clips of each speaker: UAR .5 of both, accuracies apart."""
        truth = np.tile([0] * 8 + [1] * 4, 6)
        a, b = (
            Answers([(str(n), "a", 0) for n in range(72)], truth, np.repeat(np.arange(6), 12),
                    (truth == said)[None], (0,), "train")
            for said in (1, 0)
        )  # fmt: skip
        found = self.of(a, b)
        assert found.mcnemar is not None
        assert found.mcnemar.p < 0.01
        assert (found.value, found.drawn, found.p) == (0.0, "none", 1.0)

    def test_that_is_the_same_in_all_draws_has_no_p(self) -> None:
        """Nothing tells how it spreads."""
        a, b = made(1, 1, share=-2.0), made(1, 1, share=2.0)
        found = self.of(a, b)
        assert (found.value, found.drawn, found.p) == (1.0, "none", None)
        assert found.interval is not None
        assert 0.9 < found.interval[0] < found.interval[1] == 1.0

    @pytest.mark.parametrize(
        ("seeds", "speakers", "drawn"),
        [
            ((2, 3), 12, "speakers_and_seeds"),
            ((1, 3), 12, "speakers_and_some_seeds"),
            ((3, 1), 12, "speakers_and_some_seeds"),
            ((1, 1), 12, "speakers"),
            ((2, 3), 4, "clips_and_seeds"),
            ((1, 3), 4, "clips_and_some_seeds"),
            ((1, 1), 4, "clips"),
        ],
    )
    def test_says_whose_seeds_are_drawn(
        self, seeds: tuple[int, int], speakers: int, drawn: str
    ) -> None:
        a, b = (made(n, one, speakers=speakers) for n, one in enumerate(seeds))
        assert self.of(a, b).drawn == drawn

    def test_pairs_what_is_hard_for_both(self) -> None:
        """Two settings that share hard speakers: the interval of the difference is narrower than
        two intervals beside each other."""
        a = made(7, 1, of_speaker=0.3)
        flipped = a.right.copy()
        flipped[0, ::20] = ~flipped[0, ::20]
        b = Answers(a.clips, a.truth, a.speaker, flipped, a.seeds, a.trained_on)
        of_a, of_both = estimate(a).interval, self.of(a, b).interval
        assert of_a is not None
        assert of_both is not None
        assert of_both[1] - of_both[0] < 0.7 * (of_a[1] - of_a[0])

    def test_z_is_statsmodels_of_the_number_of_clips(self) -> None:
        a, b = made(8, 3, share=0.5), made(9, 3, share=0.6)
        found = self.of(a, b)
        z, p = proportions_ztest(
            [found.of_b * found.n, found.of_a * found.n], [found.n] * 2, alternative="larger"
        )
        assert (found.z, found.z_p) == pytest.approx((z, p))

    def test_z_gives_the_papers_p_for_the_papers_figures(self) -> None:
        """Its best real test figure against single training, .867 and .836: p < .001 (Sec. 4.3)."""
        from models.audit.comparison.significance import z_test

        found = z_test(0.836, 0.867, paper.CLIPS["test"])
        assert found is not None
        assert found.p < 0.001

    def test_mcnemar_is_statsmodels_of_the_lowest_common_seed(self) -> None:
        a, b = made(10, 2), made(11, 3)
        found = self.of(a, b).mcnemar
        assert found is not None
        table = [[0, found.b], [found.c, 0]]
        assert found.b == int((a.right[0] & ~b.right[0]).sum())
        assert found.p == pytest.approx(mcnemar(table, exact=True).pvalue)

    def test_p_is_about_that_of_a_paired_t_test_over_speakers(self) -> None:
        a, b = made(12, 1, share=0.6), made(13, 1, share=0.7)
        each = [
            (uar(a.truth[at], b.right[0][at]) - uar(a.truth[at], a.right[0][at]))
            for at in (a.speaker == name for name in range(SPEAKERS))
        ]
        found = self.of(a, b)
        assert found.p == pytest.approx(stats.ttest_1samp(each, 0).pvalue, abs=0.03)

    def test_of_the_same_models_draws_the_same_seeds(self) -> None:
        """What a seed is better at both times cancels, as what a speaker is better at does."""
        a = made(14, 3, of_seed=0.3, of_speaker=0.0)
        harder = Answers(
            a.clips, a.truth, a.speaker, a.right & (np.arange(len(a)) % 5 > 0), a.seeds, "train"
        )
        own, same = self.of(a, harder), difference(a, harder, same_models=True)
        assert isinstance(same, Difference)
        assert own.interval is not None
        assert same.interval is not None
        assert same.value == own.value
        assert same.interval[1] - same.interval[0] < 0.7 * (own.interval[1] - own.interval[0])

    def test_without_a_clip_in_common_is_told(self) -> None:
        a = made(1, 1)
        assert "no scored clip in common" in str(difference(a.on(a.clips[:5]), a.on(a.clips[5:])))


class TestMeanDifference:
    def test_of_models_that_learnt_from_different_data_is_none(self) -> None:
        a, b = made(1, 1), made(2, 1)
        more = replace(b, trained_on="train+dev")
        assert difference(a, more) == Missing(OTHER_DATA)
        assert mean_difference([(a, b), (replace(a, trained_on="train+dev"), more)]) == Missing(
            OTHER_DATA
        )

    def test_is_the_mean_over_settings(self) -> None:
        pairs = [(made(n, 2), made(n + 30, 2)) for n in range(3)]
        found = mean_difference(pairs)
        each = [difference(*pair) for pair in pairs]
        assert isinstance(found, Difference)
        assert found.value == pytest.approx(
            np.mean([one.value for one in each if isinstance(one, Difference)])
        )
        assert found.mcnemar is None
