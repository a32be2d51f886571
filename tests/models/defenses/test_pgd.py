"""Training on PGD: the loss is that of the adversarial clips alone, crafted as Madry et al. do."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from models.architectures import SpectrogramNet
from models.defenses.pgd import PgdTraining
from models.rng import Rng
from tests.models.defenses.by_hand import (
    CLEAN,
    LABELS,
    LN3,
    Recording,
    Transparent,
    adversary,
)
from tests.models.tiny import clips, tiny_net


def written_out(
    net: SpectrogramNet, x: Tensor, y: Tensor, start: Tensor, epsilon: float, step: float, n: int
) -> Tensor:
    """Madry et al., Sec. 2.1: x ← Π(x + α · sign ∇L), the last one."""
    net.eval()
    point = start
    for _ in range(n):
        leaf = point.detach().clone().requires_grad_(True)
        (gradient,) = torch.autograd.grad(functional.cross_entropy(net(leaf), y), leaf)
        point = torch.maximum(
            torch.minimum(point + step * gradient.sign(), x + epsilon), x - epsilon
        )
    net.train()
    return point.detach()


class TestPgdTraining:
    def test_is_the_loss_at_the_worst_point_of_the_ball(self) -> None:
        """The loss of class 0 rises as the first value falls: the worst is x − ε there."""
        defense, net = PgdTraining(steps=10), Transparent()
        loss = defense.loss(net, CLEAN, LABELS, adversary(net, 2, epsilon=LN3))
        # Logits (-ln 3, 0) and (0, 0): ln 4 and ln 2.
        assert loss.item() == pytest.approx(
            (torch.tensor([4.0, 2.0]).log().mean()).item(), rel=1e-5
        )

    def test_is_madrys_algorithm_written_out(self) -> None:
        x, y = clips()
        net = tiny_net().train()
        start = x + 0.5 * Rng(0, range(4), "test").named("pgd").uniform(x.shape[1:], -1, 1)
        expected = written_out(net, x, y, start, 0.5, 0.1, 5)
        crafted = PgdTraining(steps=5, step=0.2).crafted(x, y, adversary(net, 4, epsilon=0.5))
        torch.testing.assert_close(crafted, expected, rtol=0, atol=1e-6)

    def test_takes_seven_steps_of_a_quarter_by_default(self) -> None:
        assert PgdTraining() == PgdTraining(steps=7, step=0.25)

    def test_never_shows_the_network_a_clean_clip_in_train_mode(self) -> None:
        net = Recording().train()
        x, y = clips()
        PgdTraining(steps=3).loss(net, x, y, adversary(net, 4))
        assert net.modes == [False, False, False, True]
        assert not any(torch.equal(seen, x) for seen in net.seen)

    def test_starts_at_random_in_the_ball(self) -> None:
        x, y = clips()
        net = Recording().train()
        PgdTraining(steps=1).loss(net, x, y, adversary(net, 4, epsilon=0.5))
        PgdTraining(steps=1).loss(net, x, y, adversary(net, 4, epsilon=0.5, seed=1))
        first, _, other, _ = (seen - x for seen in net.seen)
        assert not torch.equal(first, other)
        assert float(first.abs().max()) <= 0.5 + 1e-6
        assert float(first.abs().mean()) == pytest.approx(0.25, rel=0.05)

    def test_a_ball_without_extent_is_clean_training(self) -> None:
        x, y = clips()
        net = tiny_net().eval()
        loss = PgdTraining().loss(net, x, y, adversary(net, 4, epsilon=0.0))
        assert torch.equal(loss, functional.cross_entropy(net(x), y))
