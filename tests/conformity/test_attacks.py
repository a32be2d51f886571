"""FGSM, PGD and MIM give what Foolbox and the Adversarial Robustness Toolbox (ART) give.

Both think of images in [0, 1]; z-scored spectrograms have no such box, so both are given one that
nothing reaches. They return the last point of a path, so the last point of ours is compared. In
norm linf the gradient's sign decides, so equality here is equality to a few bits.

Where a gradient is smaller than what float32 rounds away on the way to it, its sign is chance: it
follows the order of a sum, and so the processor and the number of threads. There, and only there,
either sign is accepted; a float64 copy of the network tells where that is.
"""

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models.architectures import build
from models.attacks import Attack, TargetLabel
from models.attacks.fgsm import Fgsm
from models.attacks.iterative import IterativeAttack
from models.attacks.mim import Mim
from models.attacks.pgd import Pgd
from models.rng import Rng
from models.threats import Norm
from tests.models.views import NetView

# Foolbox imports scipy by names that scipy is about to drop.
pytestmark = pytest.mark.filterwarnings("ignore:Please import .* scipy:DeprecationWarning")

TOLERANCE = 1e-6
BOX = (-1000.0, 1000.0)
EPSILONS = {"linf": [0.02, 0.04, 0.06, 0.08, 0.1], "l2": [0.2, 0.5, 1.0]}
EPSILON = {"linf": 0.06, "l2": 1.0}
STEP, STEPS = 0.4, 3
"""Of epsilon: three steps leave the ball, and are projected."""

CLASSES = 4
FRAMES = 40
"""Few, because the networks are large."""

Batch = tuple[Tensor, Tensor]


@pytest.fixture(scope="module", params=["cnn4", "resnet50", "vgg16"])
def net(request: pytest.FixtureRequest) -> nn.Module:
    """Each network in eval mode, with batch-norm statistics unlike a fresh one's."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        net = build(request.param, CLASSES)
        net.train()
        with torch.no_grad():
            net(2 * torch.randn(4, FRAMES, 64) + 0.5)
    return net.eval()


@pytest.fixture(scope="module")
def batch() -> Batch:
    """Two z-scored clips and their labels."""
    generator = torch.Generator().manual_seed(4)
    return torch.randn(2, FRAMES, 64, generator=generator), torch.tensor([1, 3])


def crafted(attack: Attack, net: nn.Module, batch: Batch, epsilons: Sequence[float]) -> Tensor:
    """What an attack proposes at each strength, (strengths, batch, frames, mels)."""
    x, y = batch
    radii = [torch.full((len(x),), epsilon) for epsilon in epsilons]
    found = attack.craft(NetView(net, CLASSES), x, y, radii, Rng(0, range(len(x))))
    return torch.stack([one.x for one in found])


def path(attack: IterativeAttack, net: nn.Module, batch: Batch) -> list[Tensor]:
    """The points of an attack that starts at the clips."""
    x, y = batch
    radius = torch.full((len(x),), EPSILON[attack.norm])
    points = attack.path(NetView(net, CLASSES), x, attack.objective(y, attack.loss), radius, x)
    return [point.x for point in points]


def by_chance(
    net: nn.Module, points: Sequence[Tensor], y: Tensor, decay: float | None = None
) -> Tensor:
    """Where a sign on this path is not decided in float32, (batch, frames, mels).

    What float32 loses is the difference from a float64 copy, here and now: sums round, and a ReLU
    or a max-pool that nearly ties may go the other way. With ``decay`` the sign is that of a
    momentum.
    """
    exact, objective = NetView(copy.deepcopy(net).double()), Attack(type="any").objective(y)
    rounded, either = NetView(net), torch.zeros_like(points[0], dtype=torch.bool)
    sums = [torch.zeros_like(points[0]).double() for _ in range(2)]
    for point in points:
        gradients = [
            exact.gradient(point.double(), objective).gradient,
            rounded.gradient(point, objective).gradient.double(),
        ]
        if decay is not None:
            gradients = [
                decay * total + one / one.abs().sum(dim=(1, 2), keepdim=True)
                for total, one in zip(sums, gradients, strict=True)
            ]
            sums = gradients
        lost = (gradients[0] - gradients[1]).abs().amax(dim=(1, 2), keepdim=True)
        either |= gradients[0].abs() <= 2 * lost
    return either


def farthest(ours: Tensor, theirs: Tensor, either: Tensor | None = None) -> float:
    """The largest difference, but for values that may have ``either`` sign: these are few."""
    assert ours.shape == theirs.shape
    assert ours.dtype == theirs.dtype == torch.float32
    difference = (ours - theirs).abs()
    if either is not None:
        assert float(either.float().mean()) < 0.2
        difference = difference.masked_fill(either, 0)
    return float(difference.max())


def signs_by_chance(net: nn.Module, points: Sequence[Tensor], y: Tensor, norm: Norm) -> Any:
    """For :func:`farthest`; no sign decides in norm l2."""
    return by_chance(net, points, y) if norm == "linf" else None


both_norms = pytest.mark.parametrize("norm", ["linf", "l2"])


class TestFoolbox:
    def generated(
        self, net: nn.Module, batch: Batch, norm: Norm, *, target: int | None = None, **walk: Any
    ) -> Tensor:
        """The last point of Foolbox's projected gradient descent."""
        from foolbox.attacks import projected_gradient_descent
        from foolbox.criteria import Misclassification, TargetedMisclassification
        from foolbox.models.pytorch import PyTorchModel

        kind = {
            "linf": projected_gradient_descent.LinfProjectedGradientDescentAttack,
            "l2": projected_gradient_descent.L2ProjectedGradientDescentAttack,
        }[norm]
        x, y = batch
        criterion = (
            Misclassification(y)
            if target is None
            else TargetedMisclassification(torch.full_like(y, target))
        )
        attack = kind(**walk, random_start=False)
        model = PyTorchModel(net, bounds=BOX, device="cpu")
        found: Tensor = attack(model, x, criterion, epsilons=EPSILON[norm])[0]
        return found

    @both_norms
    def test_fgsm_at_every_epsilon(self, net: nn.Module, batch: Batch, norm: Norm) -> None:
        from foolbox.attacks import fast_gradient_method
        from foolbox.models.pytorch import PyTorchModel

        kind = {
            "linf": fast_gradient_method.LinfFastGradientAttack,
            "l2": fast_gradient_method.L2FastGradientAttack,
        }[norm]
        model = PyTorchModel(net, bounds=BOX, device="cpu")
        raw, clipped, _ = kind(random_start=False)(model, *batch, epsilons=EPSILONS[norm])
        ours = crafted(Fgsm(norm=norm), net, batch, EPSILONS[norm])
        either = signs_by_chance(net, [batch[0]], batch[1], norm)
        assert farthest(ours, torch.stack(raw), either) <= TOLERANCE
        assert farthest(ours, torch.stack(clipped), either) <= TOLERANCE

    @both_norms
    def test_pgd(self, net: nn.Module, batch: Batch, norm: Norm) -> None:
        theirs = self.generated(net, batch, norm, rel_stepsize=STEP, steps=STEPS)
        *before, ours = path(Pgd(norm=norm, step=STEP, steps=STEPS), net, batch)
        assert farthest(ours, theirs, signs_by_chance(net, before, batch[1], norm)) <= TOLERANCE

    @both_norms
    def test_fgsm_towards_a_target(self, net: nn.Module, batch: Batch, norm: Norm) -> None:
        """Foolbox's has no target, so it is its PGD with one step of the whole radius."""
        theirs = self.generated(net, batch, norm, target=2, rel_stepsize=1.0, steps=1)
        attack = Fgsm(norm=norm, goal=TargetLabel(label="c"))
        (ours,) = crafted(attack, net, batch, [EPSILON[norm]])
        aim = torch.full_like(batch[1], 2)
        either = signs_by_chance(net, [batch[0]], aim, norm)
        assert farthest(ours, theirs, either) <= TOLERANCE

    @both_norms
    def test_pgd_towards_a_target(self, net: nn.Module, batch: Batch, norm: Norm) -> None:
        theirs = self.generated(net, batch, norm, target=2, rel_stepsize=STEP, steps=STEPS)
        aimed = batch[0], torch.full_like(batch[1], 2)
        attack = Pgd(norm=norm, step=STEP, steps=STEPS, goal=TargetLabel(label="c"))
        *before, ours = path(attack, net, aimed)
        assert farthest(ours, theirs, signs_by_chance(net, before, aimed[1], norm)) <= TOLERANCE


class TestAdversarialRobustnessToolbox:
    def generated(
        self, net: nn.Module, batch: Batch, name: str, *, labelled: bool = True
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
            nb_classes=CLASSES,
            clip_values=BOX,
            device_type="cpu",
        )
        epsilon = EPSILON["linf"]
        walk = {"eps": epsilon, "eps_step": STEP * epsilon, "max_iter": STEPS, "verbose": False}
        attack = {
            "fgsm": lambda: evasion.FastGradientMethod(classifier, eps=epsilon),
            "pgd": lambda: evasion.ProjectedGradientDescent(classifier, **walk),
            "mim": lambda: evasion.MomentumIterativeMethod(classifier, **walk, decay=DECAY),
            "mim-l2": lambda: evasion.MomentumIterativeMethod(
                classifier, **walk | {"eps": 1.0, "eps_step": STEP}, norm=2, decay=DECAY
            ),
        }[name]()
        labels = y.numpy() if labelled else None
        return torch.from_numpy(np.asarray(attack.generate(x.numpy(), labels)))

    def test_fgsm(self, net: nn.Module, batch: Batch) -> None:
        theirs = self.generated(net, batch, "fgsm")
        (ours,) = crafted(Fgsm(), net, batch, [EPSILON["linf"]])
        assert farthest(ours, theirs, by_chance(net, [batch[0]], batch[1])) <= TOLERANCE

    def test_pgd(self, net: nn.Module, batch: Batch) -> None:
        theirs = self.generated(net, batch, "pgd")
        *before, ours = path(Pgd(step=STEP, steps=STEPS), net, batch)
        assert farthest(ours, theirs, by_chance(net, before, batch[1])) <= TOLERANCE

    def test_mim(self, net: nn.Module, batch: Batch) -> None:
        theirs = self.generated(net, batch, "mim")
        *before, ours = path(Mim(step=STEP, steps=STEPS, decay=DECAY), net, batch)
        assert farthest(ours, theirs, by_chance(net, before, batch[1], DECAY)) <= TOLERANCE

    def test_mim_in_l2(self, net: nn.Module, batch: Batch) -> None:
        theirs = self.generated(net, batch, "mim-l2")
        ours = path(Mim(norm="l2", step=STEP, steps=STEPS, decay=DECAY), net, batch)[-1]
        assert farthest(ours, theirs) <= TOLERANCE

    def test_fgsm_on_the_models_own_prediction(self, net: nn.Module, batch: Batch) -> None:
        """Where the labels are wrong for one clip at least."""
        x, _ = batch
        prediction = NetView(net).scores(x).argmax(dim=1)
        wrong = (prediction + torch.tensor([1, 0])) % CLASSES
        theirs = self.generated(net, (x, wrong), "fgsm", labelled=False)
        attack = Fgsm(labels="predicted")
        (ours,) = crafted(attack, net, (x, prediction), [EPSILON["linf"]])
        (other,) = crafted(attack, net, (x, wrong), [EPSILON["linf"]])
        either = by_chance(net, [x], prediction)
        assert farthest(ours, theirs, either) <= TOLERANCE
        assert farthest(other, theirs, either) > EPSILON["linf"]

    def test_fgsm_within_eta(self, net: nn.Module, batch: Batch) -> None:
        """Eq. 2, by hand on what ART answers: clipped to [x - eta, x + eta]."""
        x, y = batch
        eta = EPSILON["linf"] / 2
        theirs = self.generated(net, batch, "fgsm").clamp(x - eta, x + eta)
        (ours,) = crafted(Fgsm(clip=eta), net, batch, [EPSILON["linf"]])
        assert farthest(ours, theirs, by_chance(net, [x], y)) <= TOLERANCE


DECAY = 0.8
"""Not 1, which would hide it."""


class TestTheComparison:
    """That equality means something: the attack moves the input, and the box is out of reach."""

    def test_almost_every_value_moves(self, net: nn.Module, batch: Batch) -> None:
        change = path(Pgd(step=STEP, steps=STEPS), net, batch)[-1] - batch[0]
        assert float((change.abs() > STEP * EPSILON["linf"] / 2).float().mean()) > 0.8

    def test_in_l2_a_change_of_a_thousandth_would_be_seen(
        self, net: nn.Module, batch: Batch
    ) -> None:
        change = path(Pgd(norm="l2", step=STEP, steps=STEPS), net, batch)[-1] - batch[0]
        assert float(change.abs().max()) > 1000 * TOLERANCE

    def test_momentum_makes_another_attack(self, net: nn.Module, batch: Batch) -> None:
        walk: dict[str, Any] = {"step": STEP, "steps": STEPS}
        points = [path(attack, net, batch)[-1] for attack in (Pgd(**walk), Mim(**walk))]
        assert farthest(*points) > STEP * EPSILON["linf"]

    def test_other_labels_give_another_attack(self, net: nn.Module, batch: Batch) -> None:
        x, y = batch
        for norm, epsilon in EPSILON.items():
            attack = Fgsm(norm="l2" if norm == "l2" else "linf")
            ours, other = (crafted(attack, net, (x, one), [epsilon]) for one in (y, y - 1))
            assert farthest(ours, other) > 1000 * TOLERANCE
            assert float(x.abs().max()) + epsilon < BOX[1]
