"""FGSM, its formula written out, and that one gradient serves all strengths."""

from copy import deepcopy
from typing import get_args

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from models.attacks import Crafted, Objective
from models.attacks.fgsm import Fgsm
from models.rng import Rng
from models.threats import Domain
from models.victims import Cost, SpectrogramVictim, View
from tests.models.attacks.table import Parameters
from tests.models.lively import lively
from tests.models.tiny import clips, tiny_net
from tests.models.victims.spectrogram import inputs, standardizer, victim
from tests.models.views import LinearView, NetView

SMALL: list[Parameters] = [
    {},
    {"clip": 0.01},
    {"goal": "all_targets"},
    {"goal": {"label": "sad"}},
]
EPSILONS = (0.0, 0.02, 0.04, 0.06, 0.08, 0.1)
every_view = pytest.mark.parametrize("domain", get_args(Domain))


def gradient(view: View, x: Tensor, y: Tensor) -> Tensor:
    return view.gradient(x, Objective(y)).gradient


def fgsm(view: View, x: Tensor, y: Tensor, epsilon: float, attack: Fgsm | None = None) -> Tensor:
    attack = attack or Fgsm(domain=view.domain)
    return attack.run(view, x, y, torch.full((len(x),), epsilon).to(x), Rng(0, range(len(x))))


def grid(view: View, x: Tensor, y: Tensor, attack: Fgsm | None = None) -> list[Crafted]:
    attack = attack or Fgsm(epsilon=EPSILONS)
    radii = [torch.full((len(x),), epsilon).to(x) for epsilon in EPSILONS]
    return list(attack.craft(view, x, y, radii, Rng(0, range(len(x)))))


class TestTheFormula:
    @pytest.mark.parametrize("epsilon", [0.02, 0.1, 3.0])
    def test_each_value_of_log_mels_moves_by_epsilon_along_the_sign(
        self, epsilon: float, device: torch.device
    ) -> None:
        x, y = (part.to(device) for part in inputs("features"))
        view = victim(device=device).view("features")
        expected = x + epsilon * gradient(view, x, y).sign()
        assert torch.equal(fgsm(view, x, y, epsilon), expected)

    def test_each_sample_moves_by_epsilon_along_the_sign_through_the_front_end(self) -> None:
        """Log-mels, z-score, network and loss written out, without a view."""
        net = tiny_net().double().eval()
        one, own = victim(net, dtype=torch.float64), standardizer(dtype=torch.float64)
        x, y = inputs("waveform", dtype=torch.float64)
        leaf = x.clone().requires_grad_(True)
        features = (one.log_mel(leaf) - own.mean) / own.std
        loss = functional.cross_entropy(net(features), y, reduction="sum")
        (slope,) = torch.autograd.grad(loss, leaf)
        found = fgsm(one.view("waveform"), x, y, 0.002)
        torch.testing.assert_close(found, x + 0.002 * slope.sign())

    def test_a_sample_near_full_scale_stops_there(self) -> None:
        view, x = LinearView.random(2, 6, "waveform"), torch.full((1, 6), 0.95).double()
        found = fgsm(view, x, torch.tensor([0]), 0.1)
        rising = gradient(view, x, torch.tensor([0])) > 0
        torch.testing.assert_close(found, torch.where(rising, 1.0, 0.85).double())

    @every_view
    def test_in_l2_a_clip_moves_by_the_radius_along_the_gradient(self, domain: Domain) -> None:
        view = victim(dtype=torch.float64).view(domain)
        x, y = inputs(domain, dtype=torch.float64)
        slope = gradient(view, x, y)
        lengths = slope.flatten(1).square().sum(dim=1).sqrt()
        expected = x + 0.3 * slope / lengths.view(-1, *[1] * (x.ndim - 1))
        attack = Fgsm(domain=domain, norm="l2")
        torch.testing.assert_close(fgsm(view, x, y, 0.3, attack), expected)

    def test_moves_away_from_the_given_label(self) -> None:
        """Of two classes, away from one is towards the other."""
        x, _ = clips()
        view = NetView(tiny_net(n_classes=2), 2)
        zeros, ones = torch.zeros(4, dtype=torch.int64), torch.ones(4, dtype=torch.int64)
        away = fgsm(view, x, zeros, 0.1)
        torch.testing.assert_close(away - x, -(fgsm(view, x, ones, 0.1) - x))
        towards = fgsm(view, x, ones, 0.1, Fgsm(goal="all_targets"))  # run aims at what it is given
        torch.testing.assert_close(towards, away)

    def test_raises_the_loss_of_every_clip(self) -> None:
        """Not on average alone."""
        view = victim(dtype=torch.float64).view("features")
        x, y = inputs("features", n=8, dtype=torch.float64)
        before, after = (
            functional.cross_entropy(view.scores(point), y, reduction="none")
            for point in (x, fgsm(view, x, y, 0.05))
        )
        assert bool((after > before).all())

    def test_knows_no_box_of_log_mels(self) -> None:
        x, y = clips()
        found = fgsm(NetView(tiny_net()), 10 * x, y, 0.5)
        assert float(found.min()) < -1
        assert float(found.max()) > 1

    @pytest.mark.parametrize("epsilon", [0.01, 0.3])
    def test_breaks_a_linear_model_just_above_the_smallest_change(self, epsilon: float) -> None:
        """The smallest ε is the margin over ‖w_y − w_j‖₁ (for two classes, one step finds it)."""
        view = LinearView.random(2, 6)
        x = torch.randn(5, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        y = view.scores(x).argmax(dim=1)
        smallest = view.smallest(x, y)
        for size, broken in ((1 - 1e-6, False), (1 + 1e-6, True)):
            found = Fgsm().run(view, x, y, size * smallest, Rng(0, range(5)))
            assert ((view.scores(found).argmax(dim=1) != y) == broken).all()


class TestEta:
    def test_bounds_the_change_of_every_value(self) -> None:
        view, (x, y) = NetView(tiny_net()), clips()
        bounded = Fgsm(clip=0.1)
        torch.testing.assert_close(fgsm(view, x, y, 0.3, bounded), fgsm(view, x, y, 0.1))
        assert torch.equal(fgsm(view, x, y, 0.05, bounded), fgsm(view, x, y, 0.05))

    @pytest.mark.parametrize("clip", [0, -0.1, 10.5, float("nan"), float("inf")])
    def test_that_bounds_nothing_or_everything_is_refused(self, clip: float) -> None:
        with pytest.raises(ValueError, match="clip"):
            Fgsm(clip=clip)


class TestOneGradientForAllStrengths:
    @pytest.mark.parametrize("clip", [None, 0.05])
    def test_gives_what_one_by_one_gives(self, clip: float | None, device: torch.device) -> None:
        x, y = (part.to(device) for part in clips())
        view, attack = NetView(tiny_net().to(device)), Fgsm(epsilon=EPSILONS, clip=clip)
        found = grid(view, x, y, attack)
        assert len(found) == len(EPSILONS)
        for epsilon, one in zip(EPSILONS, found, strict=True):
            assert torch.equal(one.x, fgsm(view, x, y, epsilon, attack))

    def test_takes_one_pass_there_and_back(self) -> None:
        view = NetView(tiny_net())
        grid(view, *clips())
        assert view.passes == ["backward"]
        assert Fgsm(epsilon=EPSILONS).cost(3, len(EPSILONS)) == Cost(forwards=1, backwards=1)

    def test_towards_all_targets_takes_one_for_each_target_and_strength(self) -> None:
        view, attack = NetView(tiny_net()), Fgsm(epsilon=EPSILONS, goal="all_targets")
        grid(view, *clips(), attack)
        assert view.passes == ["backward", "forward"] * (2 * len(EPSILONS))
        assert attack.cost(3, len(EPSILONS)) == Cost(forwards=4, backwards=2) * len(EPSILONS)


class TestAGradientThatIsNotANumber:
    def test_stays_one_and_the_other_values_move(self) -> None:
        class Rooted(torch.nn.Module):
            """The slope of a square root of zero times zero is no number."""

            def forward(self, x: Tensor) -> Tensor:
                return torch.stack([x.flatten(1).mean(1), (0 * x[:, 0, 0]).sqrt()], dim=1)

        x, y = clips()
        found = fgsm(NetView(Rooted(), 2), x, y * 0, 0.1)
        assert bool(found[:, 0, 0].isnan().all())
        assert int(found.isnan().sum()) == len(x)
        assert bool((found != x).all())


@pytest.mark.parametrize("name", ["cnn4", "resnet50", "vgg16"])
def test_every_network_is_attacked_alike_on_any_device(name: str, device: torch.device) -> None:
    net = lively(name).float()
    x, y = clips(n=3, mels=64)
    labels = tuple("abcde")
    here, there = (
        SpectrogramVictim(deepcopy(net).to(place), standardizer().to(place), labels, x.shape[1])
        for place in (torch.device("cpu"), device)
    )
    found = fgsm(there.view("features"), x.to(device), y.to(device), 0.1)
    different = (found.cpu() - fgsm(here.view("features"), x, y, 0.1)).abs() > 1e-6
    assert different.float().mean() < 1e-3  # signs of gradients that are next to zero
