"""Vanilla adversarial training: Eq. 3 with values worked out by hand, and its limits."""

import math
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from models.defenses import DEFENSES
from models.defenses.vanilla import Vanilla
from tests.models.defenses.by_hand import (
    ADVERSARIAL,
    ADVERSARIAL_LOSS,
    CLEAN,
    CLEAN_LOSS,
    LABELS,
    Transparent,
    given,
)
from tests.models.tiny import clips, tiny_net


def after_one_step(defense: dict[str, Any]) -> dict[str, Tensor]:
    """Everything a network holds after one step down the gradient of a defence."""
    net = tiny_net().train()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    (x, y), (x_adv, _) = clips(), clips(seed=1)
    DEFENSES.parse(defense).loss(net, x, y, given(net, x_adv)).backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return dict(net.state_dict())


class TestVanilla:
    @pytest.mark.parametrize("alpha", [0.0, 0.25, 0.5, 1.0])
    def test_is_equation_3(self, alpha: float, device: torch.device) -> None:
        clean, adversarial, y = (part.to(device) for part in (CLEAN, ADVERSARIAL, LABELS))
        net = Transparent().to(device)
        loss = Vanilla(alpha=alpha).loss(net, clean, y, given(net, adversarial))
        expected = alpha * CLEAN_LOSS + (1 - alpha) * ADVERSARIAL_LOSS
        assert loss.item() == pytest.approx(expected, rel=1e-6)

    def test_alpha_is_a_half_by_default(self) -> None:
        assert Vanilla().alpha == 0.5

    def test_alpha_one_is_a_plain_step_to_the_bit(self) -> None:
        """Weights, and the statistics of batch norm, which never sees the adversarial batch."""
        plain = after_one_step({"type": "single"})
        undefended = after_one_step({"type": "vanilla", "alpha": 1.0})
        assert plain.keys() == undefended.keys()
        for name, value in plain.items():
            assert torch.equal(value, undefended[name]), name

    def test_any_other_alpha_is_not(self) -> None:
        plain, defended = after_one_step({"type": "single"}), after_one_step({"type": "vanilla"})
        assert not torch.equal(plain["classifier.weight"], defended["classifier.weight"])

    @pytest.mark.parametrize("alpha", [-0.01, 1.01, math.nan, math.inf])
    def test_a_weight_outside_0_to_1_is_refused_by_name(self, alpha: float) -> None:
        with pytest.raises(ValidationError) as caught:
            Vanilla(alpha=alpha)
        assert [fault["loc"] for fault in caught.value.errors()] == [("alpha",)]
