"""TRADES: its loss worked out by hand, its inner maximisation against Algorithm 1 written out."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.architectures import SpectrogramNet
from models.defenses.trades import Trades, divergence
from models.rng import Rng
from tests.models.defenses.by_hand import (
    CLEAN,
    CLEAN_LOSS,
    LABELS,
    LN3,
    Recording,
    Transparent,
    adversary,
)
from tests.models.tiny import clips, tiny_net


def algorithm_1(
    net: SpectrogramNet, x: Tensor, noise: Tensor, epsilon: float, step: float, n: int
) -> Tensor:
    """Zhang et al., Algorithm 1, lines 5 to 8, with torch's own KLDivLoss."""
    criterion = nn.KLDivLoss(reduction="sum")
    net.eval()
    answer = net(x).detach().softmax(dim=1)
    point = x + 0.001 * noise
    for _ in range(n):
        leaf = point.detach().clone().requires_grad_(True)
        loss = criterion(net(leaf).log_softmax(dim=1), answer)
        (gradient,) = torch.autograd.grad(loss, leaf)
        point = torch.maximum(
            torch.minimum(point + step * gradient.sign(), x + epsilon), x - epsilon
        )
    net.train()
    return point.detach()


class TestDivergence:
    def test_is_that_of_kullback_and_leibler_in_nats(self) -> None:
        # p = (1/2, 1/2), p' = (1/4, 3/4); and p = (3/4, 1/4), p' = (1/2, 1/2).
        p = torch.tensor([[0.0, 0.0], [LN3, 0.0]])
        q = torch.tensor([[-LN3, 0.0], [0.0, 0.0]])
        expected = [
            0.5 * math.log(2) + 0.5 * math.log(2 / 3),
            0.75 * math.log(1.5) + 0.25 * math.log(0.5),
        ]
        assert divergence(p, q).tolist() == pytest.approx(expected, rel=1e-5)

    def test_is_not_symmetric(self) -> None:
        p, q = torch.tensor([[2.0, 0.0]]), torch.tensor([[0.0, 0.0]])
        assert float(divergence(p, q)) != pytest.approx(float(divergence(q, p)), rel=0.01)


class TestTrades:
    def test_is_equation_5(self) -> None:
        """Within ln 2 of (0, ·), whose answer is (1/2, 1/2), the farthest are ± ln 2, both as far;
        of (ln 3, ·), whose answer is (3/4, 1/4), they are ln 1.5 and ln 6. The ascent ends on the
        side on which it starts."""
        net = Transparent()
        up = Rng(0, range(2), "test").named("trades").normal((2,))[1, 0] > 0
        farthest = {False: (0.6, 0.4), True: (6 / 7, 1 / 7)}[bool(up)]
        apart = [
            0.5 * math.log(0.5 / (2 / 3)) + 0.5 * math.log(0.5 / (1 / 3)),
            0.75 * math.log(0.75 / farthest[0]) + 0.25 * math.log(0.25 / farthest[1]),
        ]
        ball = adversary(net, 2, epsilon=math.log(2))
        loss = Trades(beta=6, steps=20).loss(net, CLEAN, LABELS, ball)
        assert loss.item() == pytest.approx(CLEAN_LOSS + 6 * sum(apart) / 2, rel=1e-5)

    def test_its_inner_maximisation_is_algorithm_1(self) -> None:
        x, _ = clips()
        net = tiny_net().train()
        noise = Rng(0, range(4), "test").named("trades").normal(x.shape[1:])
        expected = algorithm_1(net, x, noise, epsilon=0.5, step=0.1, n=6)
        crafted = Trades(steps=6, step=0.2).crafted(x, adversary(net, 4, epsilon=0.5))
        torch.testing.assert_close(crafted, expected, rtol=0, atol=1e-6)

    def test_its_defaults_are_the_sources_on_cifar_10(self) -> None:
        default = Trades()
        assert (default.beta, default.steps) == (6.0, 10)
        assert default.step == pytest.approx(0.007 / 0.031, abs=1e-3)

    def test_without_weight_it_is_clean_training(self) -> None:
        x, y = clips()
        net = tiny_net().eval()
        loss = Trades(beta=0).loss(net, x, y, adversary(net, 4))
        assert torch.equal(loss, functional.cross_entropy(net(x), y))

    def test_gradients_flow_through_both_answers(self) -> None:
        """The clean answer is pulled towards the adversarial one as well."""
        x, y = clips()
        net = tiny_net().eval()
        defense = Trades(beta=1000)
        loss = defense.loss(net, x, y, adversary(net, 4, epsilon=0.5))
        (both,) = torch.autograd.grad(loss, net.classifier.weight)
        x_adv = defense.crafted(x, adversary(net, 4, epsilon=0.5))
        held = functional.cross_entropy(net(x), y)
        held = held + 1000 * divergence(net(x).detach(), net(x_adv)).mean()
        (one,) = torch.autograd.grad(held, net.classifier.weight)
        assert not torch.allclose(both, one, rtol=0.01)

    def test_crafts_in_eval_mode_and_learns_from_both_batches_in_train_mode(self) -> None:
        net = Recording().train()
        x, y = clips()
        Trades(steps=3).loss(net, x, y, adversary(net, 4))
        assert net.modes == [False] * 4 + [True] * 2
        assert torch.equal(net.seen[-2], x)
        assert 0 < float((net.seen[-1] - x).abs().max()) <= 0.1 + 1e-6

    def test_a_ball_without_extent_moves_nothing(self) -> None:
        x, _ = clips()
        assert torch.equal(Trades().crafted(x, adversary(tiny_net(), 4, epsilon=0.0)), x)
