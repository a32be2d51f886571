"""Training on clean data: the cross-entropy, and no adversary."""

import pytest
import torch

from models.defenses.single import Single
from tests.models.defenses.by_hand import CLEAN, CLEAN_LOSS, LABELS, Transparent, given


class TestSingle:
    def test_is_the_mean_cross_entropy(self, device: torch.device) -> None:
        net = Transparent().to(device)
        loss = Single().loss(net, CLEAN.to(device), LABELS.to(device), given(net, CLEAN))
        assert loss.item() == pytest.approx(CLEAN_LOSS, rel=1e-6)

    def test_is_what_a_training_defends_with_if_it_names_nothing(self) -> None:
        assert Single().model_dump() == {"type": "single"}
        assert Single.inputs == "clean"
