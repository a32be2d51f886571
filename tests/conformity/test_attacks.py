"""FGSM and PGD give what Foolbox and the Adversarial Robustness Toolbox (ART) give.

Both think of images in [0, 1]; z-scored spectrograms have no such box, so both are given one that
nothing reaches. The gradient's sign decides, so equality here is equality to a few bits.
"""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models.architectures import ARCHITECTURES, build
from models.attacks import fgsm, fgsm_grid, pgd

# Foolbox imports scipy by names that scipy is about to drop.
pytestmark = pytest.mark.filterwarnings("ignore:Please import .* scipy:DeprecationWarning")

TOLERANCE = 1e-6
BOX = (-1000.0, 1000.0)
EPSILONS = [0.02, 0.04, 0.06, 0.08, 0.1]
EPSILON, STEP, STEPS = 0.06, 0.025, 3

FRAMES = 40
"""Few, because the networks are large."""


@pytest.fixture(scope="module", params=list(ARCHITECTURES))
def net(request: pytest.FixtureRequest) -> nn.Module:
    """Each network in eval mode, with batch-norm statistics unlike a fresh one's."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        net = build(request.param, 4)
        net.train()
        with torch.no_grad():
            net(2 * torch.randn(4, FRAMES, 64) + 0.5)
    return net.eval()


@pytest.fixture(scope="module")
def batch() -> tuple[Tensor, Tensor]:
    """Two z-scored clips and their labels."""
    generator = torch.Generator().manual_seed(3)
    return torch.randn(2, FRAMES, 64, generator=generator), torch.tensor([1, 3])


def farthest(ours: Tensor, theirs: Tensor) -> float:
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype == torch.float32
    return float((ours - theirs).abs().max())


class TestFoolbox:
    def test_fgsm_at_every_epsilon(self, net: nn.Module, batch: tuple[Tensor, Tensor]) -> None:
        from foolbox.attacks.fast_gradient_method import LinfFastGradientAttack
        from foolbox.models.pytorch import PyTorchModel

        attack = LinfFastGradientAttack(random_start=False)
        model = PyTorchModel(net, bounds=BOX, device="cpu")
        raw, clipped, _ = attack(model, *batch, epsilons=EPSILONS)
        ours = fgsm_grid(net, *batch, EPSILONS)
        assert farthest(ours, torch.stack(raw)) <= TOLERANCE
        assert farthest(ours, torch.stack(clipped)) <= TOLERANCE

    def test_pgd(self, net: nn.Module, batch: tuple[Tensor, Tensor]) -> None:
        from foolbox.attacks.projected_gradient_descent import (
            LinfProjectedGradientDescentAttack,
        )
        from foolbox.models.pytorch import PyTorchModel

        attack = LinfProjectedGradientDescentAttack(
            abs_stepsize=STEP, steps=STEPS, random_start=False
        )
        model = PyTorchModel(net, bounds=BOX, device="cpu")
        theirs, _, _ = attack(model, *batch, epsilons=EPSILON)
        assert farthest(pgd(net, *batch, EPSILON, STEP, STEPS), theirs) <= TOLERANCE


class TestAdversarialRobustnessToolbox:
    def generated(self, net: nn.Module, batch: tuple[Tensor, Tensor], name: str) -> Tensor:
        """What ART's attack of this name answers, with the true labels."""
        from art.attacks import evasion
        from art.estimators.classification import PyTorchClassifier

        x, y = batch
        classifier = PyTorchClassifier(
            model=net,
            loss=nn.CrossEntropyLoss(),
            input_shape=tuple(x.shape[1:]),
            nb_classes=4,
            clip_values=BOX,
            device_type="cpu",
        )
        attack = {
            "fgsm": lambda: evasion.FastGradientMethod(classifier, eps=EPSILON),
            "pgd": lambda: evasion.ProjectedGradientDescent(
                classifier, eps=EPSILON, eps_step=STEP, max_iter=STEPS, verbose=False
            ),
        }[name]()
        return torch.from_numpy(np.asarray(attack.generate(x.numpy(), y.numpy())))

    def test_fgsm(self, net: nn.Module, batch: tuple[Tensor, Tensor]) -> None:
        theirs = self.generated(net, batch, "fgsm")
        assert farthest(fgsm(net, *batch, EPSILON), theirs) <= TOLERANCE

    def test_pgd(self, net: nn.Module, batch: tuple[Tensor, Tensor]) -> None:
        theirs = self.generated(net, batch, "pgd")
        assert farthest(pgd(net, *batch, EPSILON, STEP, STEPS), theirs) <= TOLERANCE


class TestTheComparison:
    """That equality means something: the attack moves the input, and the box is out of reach."""

    def test_almost_every_value_moves(self, net: nn.Module, batch: tuple[Tensor, Tensor]) -> None:
        change = pgd(net, *batch, EPSILON, STEP, STEPS) - batch[0]
        assert float((change.abs() > STEP / 2).float().mean()) > 0.8

    def test_other_labels_give_another_attack(
        self, net: nn.Module, batch: tuple[Tensor, Tensor]
    ) -> None:
        x, y = batch
        assert farthest(fgsm(net, x, y, EPSILON), fgsm(net, x, y - 1, EPSILON)) > EPSILON
        assert float(x.abs().max()) + EPSILON < BOX[1]
