"""Fused crafting: adversarial clips along the input gradient of the clean pass in train mode, and
the gradients of the very loss that those clips have (docs/fused-crafting.md)."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from models.architectures import SpectrogramNet
from models.attacks.fgsm import Fgsm
from models.attacks.pgd import Pgd
from models.defenses import DEFENSES, Adversary
from models.rng import Rng
from models.threats import Norm
from tests.models.defenses.by_hand import Recording, adversary, given
from tests.models.tiny import TinyNet, clips, tiny_net

FUSING = [name for name in DEFENSES if DEFENSES[name].fuses]
WEIGHTS: list[dict[str, Any]] = [
    {"type": "vanilla"},
    {"type": "vanilla", "alpha": 0.2},
    {"type": "vanilla", "alpha": 0.0},
    {"type": "similarity"},
    {"type": "similarity", "beta": 0.0, "gamma": 0.3, "distance": "l2"},
]


def attacked_in_train_mode(net: SpectrogramNet, x: Tensor, y: Tensor, norm: Norm) -> Tensor:
    """FGSM of strength .1, written out, on a copy of the network that normalises by the batch."""
    leaf = x.clone().requires_grad_(True)
    loss = functional.cross_entropy(copy.deepcopy(net).train()(leaf), y, reduction="sum")
    (gradient,) = torch.autograd.grad(loss, leaf)
    if norm == "l2":
        sizes: Tensor = torch.linalg.vector_norm(gradient, dim=(1, 2), keepdim=True)
        return x + 0.1 * gradient / sizes
    return x + 0.1 * gradient.sign()


def gradients(net: SpectrogramNet) -> dict[str, Tensor]:
    return {name: weight.grad for name, weight in net.named_parameters() if weight.grad is not None}


class TestTheAdversarialClips:
    @pytest.mark.parametrize("norm", ["linf", "l2"])
    @pytest.mark.parametrize("name", FUSING)
    def test_follow_the_gradient_of_the_network_that_normalises_by_its_batch(
        self, name: str, norm: Norm
    ) -> None:
        x, y = clips()
        net = Recording().train()
        wanted = attacked_in_train_mode(net, x, y, norm)
        net.seen.clear()
        attack = Adversary(net, Fgsm(norm=norm), 0.1, Rng(0, range(len(x))))
        DEFENSES.parse({"type": name}).fused_loss(net, x, y, attack)
        clean, adversarial = net.seen
        assert torch.equal(clean, x)
        torch.testing.assert_close(adversarial, wanted, rtol=0, atol=1e-6)

    @pytest.mark.parametrize("name", FUSING)
    def test_are_not_those_of_the_network_in_eval_mode(self, name: str) -> None:
        x, y = clips()
        net = Recording().train()
        in_eval_mode = adversary(net, len(x)).batch(x, y)
        net.seen.clear()
        DEFENSES.parse({"type": name}).fused_loss(net, x, y, adversary(net, len(x)))
        assert not torch.equal(net.seen[1], in_eval_mode)

    @pytest.mark.parametrize("name", FUSING)
    def test_cost_no_pass_of_their_own(self, name: str) -> None:
        x, y = clips()
        net = Recording().train()
        DEFENSES.parse({"type": name}).fused_loss(net, x, y, adversary(net, len(x)))
        assert net.modes == [True, True]

    def test_need_an_attack_of_one_gradient(self) -> None:
        x, y = clips()
        net = tiny_net().train()
        attack = Adversary(net, Pgd(), 0.1, Rng(0, range(len(x))))
        with pytest.raises(TypeError, match="pgd does not follow one gradient: give fgsm"):
            DEFENSES.parse({"type": "vanilla"}).fused_loss(net, x, y, attack)


class TestTheGradientsOfTheWeights:
    @pytest.mark.parametrize("defense", WEIGHTS, ids=str)
    def test_are_those_of_the_same_loss_on_the_same_clips(self, defense: dict[str, Any]) -> None:
        """And so are its value and what batch norm has learnt."""
        x, y = clips()
        fused, plain = (tiny_net().train() for _ in range(2))
        x_adv = attacked_in_train_mode(plain, x, y, "linf")
        chosen = DEFENSES.parse(defense)
        ours = chosen.fused_loss(fused, x, y, adversary(fused, len(x)))
        theirs = chosen.loss(plain, x, y, given(plain, x_adv))
        for loss in (ours, theirs):
            loss.backward()  # type: ignore[no-untyped-call]
        torch.testing.assert_close(ours, theirs)
        assert gradients(fused).keys() == dict(fused.named_parameters()).keys()
        for name, gradient in gradients(plain).items():
            torch.testing.assert_close(gradients(fused)[name], gradient, rtol=1e-4, atol=1e-6)
        for name, statistic in plain.named_buffers():
            torch.testing.assert_close(fused.get_buffer(name), statistic, rtol=1e-5, atol=1e-6)

    def test_of_a_vanilla_training_on_clean_data_alone_are_a_plain_steps_to_the_bit(self) -> None:
        x, y = clips()
        fused, plain = (tiny_net().train() for _ in range(2))
        chosen = DEFENSES.parse({"type": "vanilla", "alpha": 1.0})
        chosen.fused_loss(fused, x, y, adversary(fused, len(x))).backward()  # type: ignore[no-untyped-call]
        functional.cross_entropy(plain(x), y).backward()  # type: ignore[no-untyped-call]
        for name, gradient in gradients(plain).items():
            assert torch.equal(gradients(fused)[name], gradient)

    def test_of_a_weight_that_the_network_does_not_use_are_none(self) -> None:
        x, y = clips()
        net = TinyNet(3).train()
        net.register_parameter("spare", torch.nn.Parameter(torch.zeros(2)))
        DEFENSES.parse({"type": "vanilla"}).fused_loss(net, x, y, adversary(net, len(x)))
        assert "spare" not in gradients(net)


class TestWhoFuses:
    def test_is_who_trains_on_the_clean_clip_and_the_attacked_one(self) -> None:
        assert set(FUSING) == {"vanilla", "similarity"}
