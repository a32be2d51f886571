"""UAR, confusion, and the counts behind the success rate of an attack."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from models.metrics import Transitions, confusion, recalls, transitions, uar

# Three clips of class 0 (two found), one of class 1 (missed), none of class 2, two of class 3.
TRUTH = torch.tensor([0, 0, 0, 1, 3, 3])
GUESS = torch.tensor([0, 2, 0, 0, 3, 3])

labelled = st.integers(2, 6).flatmap(
    lambda n: st.tuples(
        st.just(n),
        st.lists(st.tuples(st.integers(0, n - 1), st.integers(0, n - 1)), min_size=1, max_size=40),
    )
)


def columns(pairs: list[tuple[int, int]]) -> tuple[Tensor, Tensor]:
    y_true, y_pred = torch.tensor(pairs).T
    return y_true, y_pred


class TestConfusion:
    def test_rows_are_true_and_columns_predicted(self, device: torch.device) -> None:
        assert confusion(TRUTH.to(device), GUESS.to(device), 4).tolist() == [
            [2, 0, 1, 0],
            [1, 0, 0, 0],
            [0, 0, 0, 0],
            [0, 0, 0, 2],
        ]

    @given(labelled)
    def test_counts_every_clip_once(self, drawn: tuple[int, list[tuple[int, int]]]) -> None:
        n_classes, pairs = drawn
        table = confusion(*columns(pairs), n_classes)
        assert table.shape == (n_classes, n_classes)
        for true in range(n_classes):
            for guess in range(n_classes):
                assert int(table[true, guess]) == pairs.count((true, guess))

    @pytest.mark.parametrize("wrong", [4, -1])
    def test_a_class_out_of_range_is_refused_and_named(self, wrong: int) -> None:
        """It would land in a neighbouring row, without a word."""
        with pytest.raises(ValueError, match=f"class {wrong} is outside 0 to 3"):
            confusion(torch.tensor([0, 1]), torch.tensor([0, wrong]), 4)
        with pytest.raises(ValueError, match=f"class {wrong} is outside 0 to 3"):
            confusion(torch.tensor([wrong, 1]), torch.tensor([0, 1]), 4)

    def test_labels_and_predictions_of_different_length_are_refused(self) -> None:
        with pytest.raises(ValueError, match=r"labels \(6,\) and predictions \(1,\)"):
            confusion(TRUTH, GUESS[:1], 4)


class TestUar:
    def test_is_the_mean_recall_of_the_classes_present(self, device: torch.device) -> None:
        truth, guess = TRUTH.to(device), GUESS.to(device)
        assert recalls(truth, guess, 4) == [pytest.approx(2 / 3), 0.0, None, 1.0]
        assert uar(truth, guess, 4) == pytest.approx((2 / 3 + 0 + 1) / 3)

    def test_weighs_a_rare_class_like_a_frequent_one(self) -> None:
        """Accuracy is .99 here."""
        truth = torch.tensor([0] * 99 + [1])
        assert uar(truth, torch.zeros(100, dtype=torch.int64), 2) == 0.5

    def test_of_perfect_and_of_wrong_predictions(self) -> None:
        truth = torch.tensor([0, 1, 2, 2])
        assert uar(truth, truth, 3) == 1.0
        assert uar(truth, (truth + 1) % 3, 3) == 0.0

    @given(labelled)
    def test_equals_the_formula_and_is_never_nan(
        self, drawn: tuple[int, list[tuple[int, int]]]
    ) -> None:
        n_classes, pairs = drawn
        shares = []
        for label in {true for true, _ in pairs}:
            guesses = [guess for true, guess in pairs if true == label]
            shares.append(sum(guess == label for guess in guesses) / len(guesses))
        value = uar(*columns(pairs), n_classes)
        assert not math.isnan(value)
        assert value == pytest.approx(sum(shares) / len(shares))

    def test_equals_scikit_learn(self) -> None:
        metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
        generator = torch.Generator().manual_seed(0)
        truth, guess = torch.randint(0, 7, (2, 500), generator=generator)
        theirs = metrics.balanced_accuracy_score(truth.numpy(), guess.numpy())
        assert uar(truth, guess, 7) == pytest.approx(theirs)

    def test_of_no_clip_is_refused(self) -> None:
        nothing = torch.zeros(0, dtype=torch.int64)
        with pytest.raises(ValueError, match="no clips"):
            uar(nothing, nothing, 3)


class TestTransitions:
    LABEL = torch.tensor([0, 0, 0, 1, 1, 1, 2])
    BEFORE = torch.tensor([0, 0, 0, 1, 0, 2, 0])
    AFTER = torch.tensor([1, 2, 0, 1, 1, 0, 0])

    def test_the_four_counts(self, device: torch.device) -> None:
        moves = transitions(*(part.to(device) for part in (self.LABEL, self.BEFORE, self.AFTER)))
        assert moves == Transitions(right_wrong=2, right_right=2, wrong_right=1, wrong_wrong=2)

    def test_success_is_counted_over_the_clips_that_were_right_before(self) -> None:
        """Two of four, not two (or four) of seven."""
        assert transitions(self.LABEL, self.BEFORE, self.AFTER).success_rate == 0.5

    def test_what_an_attack_repairs_is_no_success_and_no_failure(self) -> None:
        assert Transitions(1, 3, wrong_right=50, wrong_wrong=50).success_rate == 0.25

    @pytest.mark.parametrize(
        "shapes", [((7, 1), (7,), (7,)), ((7,), (1,), (7,)), ((7,), (7,), ()), ((7, 1),) * 3]
    )
    def test_other_shapes_are_refused(self, shapes: tuple[tuple[int, ...], ...]) -> None:
        with pytest.raises(ValueError, match=r"all must be \(clips,\)"):
            transitions(*(torch.zeros(shape, dtype=torch.int64) for shape in shapes))

    def test_a_model_that_was_never_right_has_no_success_rate(self) -> None:
        wrong = (self.LABEL + 1) % 3
        assert transitions(self.LABEL, wrong, wrong).success_rate is None

    @given(st.lists(st.tuples(*[st.integers(0, 2)] * 3), min_size=1, max_size=30))
    def test_every_clip_is_counted_once(self, triples: list[tuple[int, ...]]) -> None:
        moves = transitions(*torch.tensor(triples).T)
        counts = (moves.right_wrong, moves.right_right, moves.wrong_right, moves.wrong_wrong)
        assert sum(counts) == len(triples)
        assert min(counts) >= 0
