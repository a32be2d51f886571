"""FGSM and PGD give what Foolbox and the Adversarial Robustness Toolbox (ART) give.

Both think of images in [0, 1]; z-scored spectrograms have no such box, so both are given one that
nothing reaches. The gradient's sign decides, so equality here is equality to a few bits.

Where a gradient is smaller than what float32 rounds away on the way to it, its sign is chance: it
follows the order of a sum, and so the processor and the number of threads. There, and only there,
either sign is accepted; a float64 copy of the network tells where that is.
"""

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models.architectures import ARCHITECTURES, build
from models.attacks import fgsm, fgsm_grid, frozen, input_gradient, pgd
from models.audit import Attack, Audit
from models.corpus.dataset import Dataset
from models.features import Standardizer

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
    generator = torch.Generator().manual_seed(4)
    return torch.randn(2, FRAMES, 64, generator=generator), torch.tensor([1, 3])


def by_chance(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Where the sign of the gradient is not decided in float32, (batch, frames, mels).

    What float32 loses is the difference from a float64 copy, here and now: sums round, and a ReLU
    or a max-pool that nearly ties may go the other way.
    """
    exact = copy.deepcopy(net).double()
    with frozen(exact), frozen(net):
        gradient = input_gradient(exact, x.double(), y)
        lost = (input_gradient(net, x, y) - gradient).abs()
    return gradient.abs() <= 2 * lost.amax(dim=(1, 2), keepdim=True)


def by_chance_on_the_way(net: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """The same at any step of :func:`pgd`."""
    steps = [pgd(net, x, y, EPSILON, STEP, done) for done in range(STEPS)]
    return torch.stack([by_chance(net, step, y) for step in steps]).any(dim=0)


def farthest(ours: Tensor, theirs: Tensor, either: Tensor | None = None) -> float:
    """The largest difference, but for values that may have ``either`` sign: these are few."""
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype == torch.float32
    difference = (ours - theirs).abs()
    if either is not None:
        assert float(either.float().mean()) < 0.2
        difference = difference.masked_fill(either, 0)
    return float(difference.max())


def audit(net: nn.Module, x: Tensor, y: Tensor) -> Audit:
    """Of clips that need no z-scoring."""
    data = Dataset(x.flatten(0, 1), torch.arange(len(x) + 1) * FRAMES, y)
    return Audit(net, Standardizer(torch.zeros(64), torch.ones(64)), data, [], FRAMES)


class TestFoolbox:
    def test_fgsm_at_every_epsilon(self, net: nn.Module, batch: tuple[Tensor, Tensor]) -> None:
        from foolbox.attacks.fast_gradient_method import LinfFastGradientAttack
        from foolbox.models.pytorch import PyTorchModel

        attack = LinfFastGradientAttack(random_start=False)
        model = PyTorchModel(net, bounds=BOX, device="cpu")
        raw, clipped, _ = attack(model, *batch, epsilons=EPSILONS)
        ours, either = fgsm_grid(net, *batch, EPSILONS), by_chance(net, *batch)
        assert farthest(ours, torch.stack(raw), either) <= TOLERANCE
        assert farthest(ours, torch.stack(clipped), either) <= TOLERANCE

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
        ours, either = pgd(net, *batch, EPSILON, STEP, STEPS), by_chance_on_the_way(net, *batch)
        assert farthest(ours, theirs, either) <= TOLERANCE


class TestAdversarialRobustnessToolbox:
    def generated(
        self, net: nn.Module, batch: tuple[Tensor, Tensor], name: str, *, labelled: bool = True
    ) -> Tensor:
        """What ART's attack of this name answers: with the true labels, or with none, for which
        it takes the model's own."""
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
        labels = y.numpy() if labelled else None
        return torch.from_numpy(np.asarray(attack.generate(x.numpy(), labels)))

    def test_fgsm(self, net: nn.Module, batch: tuple[Tensor, Tensor]) -> None:
        theirs = self.generated(net, batch, "fgsm")
        assert farthest(fgsm(net, *batch, EPSILON), theirs, by_chance(net, *batch)) <= TOLERANCE

    def test_pgd(self, net: nn.Module, batch: tuple[Tensor, Tensor]) -> None:
        theirs = self.generated(net, batch, "pgd")
        ours, either = pgd(net, *batch, EPSILON, STEP, STEPS), by_chance_on_the_way(net, *batch)
        assert farthest(ours, theirs, either) <= TOLERANCE

    def test_fgsm_on_the_models_own_prediction(
        self, net: nn.Module, batch: tuple[Tensor, Tensor]
    ) -> None:
        """An audit with labels="predicted", where the labels are wrong for one clip at least."""
        x, _ = batch
        with torch.no_grad():
            prediction = net(x).argmax(dim=1)
        wrong = (prediction + torch.tensor([1, 0])) % 4
        attack = Attack((EPSILON,), labels="predicted")
        ours = audit(net, x, wrong).adversarial(attack, x, wrong)[0]
        theirs = self.generated(net, (x, wrong), "fgsm", labelled=False)
        either = by_chance(net, x, prediction)
        assert farthest(ours, theirs, either) <= TOLERANCE
        assert farthest(fgsm(net, x, wrong, EPSILON), theirs, either) > EPSILON

    def test_fgsm_within_eta(self, net: nn.Module, batch: tuple[Tensor, Tensor]) -> None:
        """Eq. 2, by hand on what ART answers: clipped to [x - eta, x + eta]."""
        x, y = batch
        eta = EPSILON / 2
        theirs = self.generated(net, batch, "fgsm").clamp(x - eta, x + eta)
        either = by_chance(net, x, y)
        assert farthest(fgsm(net, x, y, EPSILON, clip=eta), theirs, either) <= TOLERANCE
        ours = audit(net, x, y).adversarial(Attack((EPSILON,), clip=eta), x, y)[0]
        assert farthest(ours, theirs, either) <= TOLERANCE


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
