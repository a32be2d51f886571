"""What an attack maximises, against the formulas worked out clip by clip."""

import math

import pytest
import torch
from torch import Tensor

from models.objectives import Loss, Objective, margin

LOGITS = torch.tensor([[2.0, -1.0, 0.5, 1.0], [0.0, 3.0, 2.5, -4.0]], dtype=torch.float64)
Y = torch.tensor([0, 2])
"""The first clip is right, the second wrong."""


def shares(logits: list[float]) -> list[float]:
    """Softmax of one clip."""
    total = sum(map(math.exp, logits))
    return [math.exp(value) / total for value in logits]


class TestValues:
    def test_ce_is_the_log_loss_of_the_label(self) -> None:
        expected = [-math.log(shares(clip)[y]) for clip, y in zip(LOGITS.tolist(), Y, strict=True)]
        assert Objective(Y).values(LOGITS).tolist() == pytest.approx(expected)

    def test_margin_is_the_best_other_logit_less_the_labels(self) -> None:
        assert Objective(Y, "margin").values(LOGITS).tolist() == [1.0 - 2.0, 3.0 - 2.5]

    def test_dlr_is_the_margin_over_the_distance_from_the_first_to_the_third(self) -> None:
        expected = [(1.0 - 2.0) / (2.0 - 0.5), (3.0 - 2.5) / (3.0 - 0.0)]
        assert Objective(Y, "dlr").values(LOGITS).tolist() == pytest.approx(expected)

    def test_dlr_forgets_scale_and_shift_of_the_logits(self) -> None:
        objective = Objective(Y, "dlr")
        torch.testing.assert_close(objective.values(1000 * LOGITS - 7), objective.values(LOGITS))

    def test_dlr_has_a_gradient_where_a_softmax_saturates(self) -> None:
        logits = (1000 * LOGITS.float()).requires_grad_(True)
        sizes = [
            float(torch.autograd.grad(Objective(Y, loss).values(logits)[0], logits)[0].abs().sum())
            for loss in ("ce", "dlr")
        ]
        assert sizes[0] == 0
        assert sizes[1] > 0

    def test_targeted_losses_rise_towards_the_target(self) -> None:
        ce = Objective(Y, "ce", targeted=True).values(LOGITS)
        torch.testing.assert_close(ce, -Objective(Y).values(LOGITS))
        apart = Objective(torch.tensor([1, 2]), "margin", targeted=True).values(LOGITS)
        assert apart.tolist() == [-1.0 - 2.0, 2.5 - 3.0]

    @pytest.mark.parametrize("targeted", [False, True])
    @pytest.mark.parametrize("loss", ["ce", "margin"])
    def test_a_step_along_the_gradient_raises_the_value(self, loss: Loss, targeted: bool) -> None:
        objective = Objective(Y, loss, targeted)
        logits = LOGITS.clone().requires_grad_(True)
        (gradient,) = torch.autograd.grad(objective.values(logits).sum(), logits)
        moved = objective.values(LOGITS + 1e-3 * gradient)
        assert bool((moved > objective.values(LOGITS)).all())

    def test_dlr_has_no_target(self) -> None:
        with pytest.raises(ValueError, match="dlr has no target here: give loss ce or margin"):
            Objective(Y, "dlr", targeted=True)

    @pytest.mark.parametrize("loss", ["ce", "margin", "dlr"])
    def test_of_a_clip_knows_nothing_of_those_beside_it(self, loss: Loss) -> None:
        together = Objective(Y, loss).values(LOGITS)
        alone = Objective(Y[1:], loss).values(LOGITS[1:])
        assert torch.equal(together[1:], alone)


class TestMargin:
    def test_is_positive_where_another_label_is_predicted(self) -> None:
        assert (margin(LOGITS, Y) > 0).tolist() == [False, True]
        assert (margin(LOGITS, Y) > 0).tolist() == (LOGITS.argmax(dim=1) != Y).tolist()

    def test_of_two_classes_is_their_difference(self) -> None:
        logits = torch.tensor([[3.0, 1.0]])
        assert margin(logits, torch.tensor([0])).tolist() == [-2.0]
        assert margin(logits, torch.tensor([1])).tolist() == [2.0]


class TestReached:
    def test_untargeted_is_any_other_prediction(self) -> None:
        assert Objective(Y).reached(LOGITS).tolist() == [False, True]

    def test_targeted_is_that_prediction(self) -> None:
        assert Objective(Y, targeted=True).reached(LOGITS).tolist() == [True, False]


def test_a_subset_keeps_loss_and_goal() -> None:
    some = Objective(Y, "margin", targeted=True).subset(torch.tensor([1]))
    expected: Tensor = Objective(Y, "margin", targeted=True).values(LOGITS)[1:]
    assert torch.equal(some.values(LOGITS[1:]), expected)
