"""PGD: each step, what of its paths counts, and how it becomes FGSM."""

import math
from collections.abc import Sequence
from typing import get_args

import pytest
import torch
from torch import Tensor, nn

from models.attacks import Objective, parse
from models.attacks.fgsm import Fgsm
from models.attacks.pgd import Pgd
from models.objectives import Loss, margin
from models.rng import Rng
from models.threats import Domain, Norm, expand, vector_norm
from models.victims import Cost, View
from tests.models.attacks.table import Parameters
from tests.models.tiny import clips, tiny_net
from tests.models.victims.spectrogram import inputs, victim
from tests.models.views import LinearView, NetView

SMALL: list[Parameters] = [
    {"steps": 3, "restarts": 2},
    {"steps": 2, "loss": "margin", "goal": "all_targets"},
    {"steps": 2, "loss": "dlr"},
    {"steps": 2, "goal": {"label": "sad"}, "labels": "predicted"},
]
NORMS = get_args(Norm)
every_norm = pytest.mark.parametrize("norm", NORMS)


def pgd(
    view: View, x: Tensor, y: Tensor, radius: float | Tensor, attack: Pgd, seed: int = 0
) -> Tensor:
    radii = torch.as_tensor(radius).to(x).expand(len(x))
    return attack.run(view, x, y, radii, Rng(seed, range(len(x))))


def gradient(view: View, x: Tensor, y: Tensor) -> Tensor:
    return view.gradient(x, Objective(y)).gradient


class Scripted(nn.Module):
    """A model of one value a clip whose loss along it is given: knots at 0, 1, 2, … steps of .1.

    Between the knots the margin of label 0 is linear, so each step's gradient is known.
    """

    def __init__(self, heights: Sequence[float]) -> None:
        super().__init__()
        self.heights = torch.tensor(heights, dtype=torch.float64)

    def forward(self, x: Tensor) -> Tensor:
        at = x[:, 0] / 0.1
        low = at.detach().floor().clamp(0, len(self.heights) - 2).long()
        left, right = self.heights[low], self.heights[low + 1]
        height = left + (right - left) * (at - low)
        return torch.stack([0 * height, height], dim=1)


def scripted(heights: Sequence[float]) -> tuple[NetView, Tensor, Tensor]:
    view = NetView(Scripted(heights), 2)
    return view, torch.zeros(1, 1, dtype=torch.float64), torch.tensor([0])


class TestOneStepOfTheRadius:
    @pytest.mark.parametrize("epsilon", [0.02, 0.1, 0.3])
    def test_is_fgsm_to_the_bit(self, epsilon: float, device: torch.device) -> None:
        x, y = (part.to(device) for part in clips())
        x[0] *= 1e-3
        view = NetView(tiny_net().to(device))
        radius = torch.full((len(x),), epsilon).to(x)
        found = Pgd(steps=1, step=1.0).run(view, x, y, radius, Rng(0, range(4)))
        assert torch.equal(found, Fgsm().run(view, x, y, radius, Rng(0, range(4))))

    @pytest.mark.parametrize("domain", get_args(Domain))
    @every_norm
    def test_is_fgsm_in_every_threat_model(self, domain: Domain, norm: Norm) -> None:
        view = victim(dtype=torch.float64).view(domain)
        x, y = inputs(domain, dtype=torch.float64)
        found = pgd(view, x, y, 0.01, Pgd(domain=domain, norm=norm, steps=1, step=1.0))
        radius = torch.full((len(x),), 0.01).double()
        expected = Fgsm(domain=domain, norm=norm).run(view, x, y, radius, Rng(0, range(4)))
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


class TestASteps:
    @every_norm
    def test_gradient_is_looked_at_anew(self, norm: Norm) -> None:
        x, y = inputs("features", dtype=torch.float64)
        view = victim(dtype=torch.float64).view("features")

        def moved(point: Tensor) -> Tensor:
            slope = gradient(view, point, y)
            if norm == "linf":
                return point + 0.05 * slope.sign()
            return point + 0.05 * slope / expand(vector_norm(slope), slope)

        attack = Pgd(norm=norm, steps=2, step=0.05)
        torch.testing.assert_close(pgd(view, x, y, 1.0, attack), moved(moved(x)))

    @every_norm
    def test_size_is_of_the_radius(self, norm: Norm) -> None:
        view = LinearView.random(2, 6)
        x, y = torch.zeros(1, 6).double(), torch.tensor([0])
        for step, steps, expected in ((0.1, 3, 0.3), (None, 5, 1.0), (0.4, 2, 0.8), (0.4, 9, 1.0)):
            change = pgd(view, x, y, 0.5, Pgd(norm=norm, step=step, steps=steps))
            assert float(Pgd(norm=norm).threat.size(change)) == pytest.approx(0.5 * expected)

    def test_default_is_two_and_a_half_radii_over_the_steps(self) -> None:
        """Madry et al. use 2.5 ε / steps, so that the path may reach the edge and turn."""
        view, x, y = scripted([0.0] + [float(n) for n in range(1, 9)])
        attack = Pgd(steps=10)
        points = attack.path(view, x, Objective(y), torch.tensor([0.4]).double(), x)
        reached = [float(point) for point, _, _ in points]
        assert reached[:5] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4])
        assert reached[5:] == pytest.approx([0.4] * 6)

    @every_norm
    def test_point_is_projected_back_to_the_ball(self, norm: Norm) -> None:
        x, y = clips()
        attack = Pgd(norm=norm, steps=4, step=2.0, restarts=2)
        change = pgd(NetView(tiny_net()), x, y, 0.1, attack) - x
        # up to the rounding of a sum of the size of x
        assert bool((attack.threat.size(change) <= 0.1 + 1e-6 * vector_norm(x)).all())

    def test_point_of_a_waveform_is_put_back_into_its_box(self) -> None:
        view = LinearView.random(3, 30, "waveform")
        x = 0.98 * torch.ones(2, 30).double()
        found = pgd(view, x, torch.tensor([0, 1]), 0.1, Pgd(domain="waveform", steps=3))
        assert float(found.max()) == 1.0
        assert 0.879 < float(found.min()) < 0.881


class TestWhatCounts:
    def test_is_the_worst_point_on_the_path_and_not_its_end(self) -> None:
        """The loss rises for two steps, and falls again where the third leads."""
        view, x, y = scripted([0.0, 1.0, 5.0, 2.0, 1.0, 0.0])
        attack = Pgd(steps=3, step=0.25)
        path = list(attack.path(view, x, Objective(y), torch.tensor([0.4]).double(), x))
        assert [float(point) for point, _, _ in path] == pytest.approx([0, 0.1, 0.2, 0.1])
        assert float(pgd(view, x, y, 0.4, attack)) == pytest.approx(0.2)

    def test_is_the_end_where_that_is_the_worst(self) -> None:
        view, x, y = scripted([0.0, 1.0, 2.0, 3.0, 4.0, 5.0])
        assert float(pgd(view, x, y, 0.4, Pgd(steps=3, step=0.25))) == pytest.approx(0.3)

    def test_is_never_the_clip_which_would_look_as_if_there_were_no_direction(self) -> None:
        """A step over the ridge: the loss is lower there, and it counts all the same."""
        view, x, y = scripted([0.0, 1.0, 0.5, -3.0, -4.0])
        x = x + 0.09
        assert float(pgd(view, x, y, 0.4, Pgd(steps=1, step=0.75))) == pytest.approx(0.39)

    @pytest.mark.parametrize("loss", get_args(Loss))
    def test_is_decided_clip_by_clip_by_the_loss(self, loss: Loss) -> None:
        x, y = inputs("features", n=6, dtype=torch.float64)
        view, attack = victim(dtype=torch.float64).view("features"), Pgd(steps=6, loss=loss, step=2)
        objective, radius = Objective(y, loss), torch.full((6,), 0.8).double()
        path = list(attack.path(view, x, objective, radius, x))
        values = torch.stack([value for _, value, _ in path])
        for point, value, _ in path:
            torch.testing.assert_close(value, objective.values(view.scores(point)))
        points = torch.stack([point for point, _, _ in path])
        worst = points[1 + values[1:].argmax(dim=0), range(6)]
        assert torch.equal(pgd(view, x, y, 0.8, attack), worst)


class TestRestarts:
    def test_the_first_starts_at_the_clip(self) -> None:
        x, y = clips()
        view = NetView(tiny_net())
        one, other = (pgd(view, x, y, 0.1, Pgd(steps=2), seed=seed) for seed in (1, 2))
        assert torch.equal(one, other)

    def test_the_others_follow_the_seed(self) -> None:
        x, y = clips()
        view, attack = NetView(tiny_net()), Pgd(steps=1, restarts=4)
        first, again, other = (pgd(view, x, y, 0.5, attack, seed=seed) for seed in (1, 1, 2))
        assert torch.equal(first, again)
        assert not torch.equal(first, other)

    def test_never_make_the_attack_weaker(self) -> None:
        x, y = inputs("features", n=6, dtype=torch.float64)
        view = victim(dtype=torch.float64).view("features")
        losses = [
            Objective(y).values(view.scores(pgd(view, x, y, 0.5, Pgd(steps=2, restarts=n))))
            for n in (1, 3, 6)
        ]
        assert bool((losses[1] >= losses[0]).all())
        assert bool((losses[2] >= losses[1]).all())
        assert bool((losses[2] > losses[0]).any())

    def test_find_what_no_path_from_the_clip_does(self) -> None:
        """A hill on either side of the clip, the lower one uphill from it."""
        view, x, y = scripted([9.0, 1.0, 0.0, 0.1, 0.2, 0.3])
        x = x + 0.21
        lone = pgd(view, x, y, 0.2, Pgd(steps=8, step=0.125))
        many = pgd(view, x, y, 0.2, Pgd(steps=8, step=0.125, restarts=10))
        assert float(lone) > float(x)
        assert float(many) < float(x)

    def test_count_only_where_their_loss_is_strictly_higher(self) -> None:
        """Where everything is equal, the clip stays; a draw must not hide a missing gradient."""
        view, x, y = scripted([2.0, 2.0, 2.0, 2.0, 2.0, 2.0])
        x = x + 0.2
        assert torch.equal(pgd(view, x, y, 0.2, Pgd(steps=2, restarts=5)), x)

    def test_do_not_hide_a_gradient_that_is_not_a_number(self) -> None:
        class RootedAtTheClip(nn.Module):
            """The gradient is no number at 0, and one everywhere else."""

            def forward(self, x: Tensor) -> Tensor:
                return torch.stack([-x[:, 0].abs().sqrt(), 0 * x[:, 0]], dim=1)

        x, y = torch.zeros(1, 2), torch.tensor([0])
        found = pgd(NetView(RootedAtTheClip(), 2), x, y, 0.1, Pgd(steps=2, restarts=3))
        assert bool(found.isnan().all())


class TestLosses:
    @pytest.mark.parametrize("loss", get_args(Loss))
    @every_norm
    def test_on_a_linear_model_breaks_just_above_the_smallest_change(
        self, loss: Loss, norm: Norm
    ) -> None:
        """margin / ‖w_y − w_j‖ in the dual norm, the smallest over the other labels j."""
        view = LinearView.random(4, 8)
        x = torch.randn(6, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
        y = view.scores(x).argmax(dim=1)
        smallest = view.smallest(x, y, order=1.0 if norm == "linf" else 2.0)
        attack = Pgd(norm=norm, steps=60, step=0.2, loss=loss, goal="untargeted")
        below, above = (pgd(view, x, y, size * smallest, attack) for size in (0.999, 1.02))
        assert bool((view.scores(below).argmax(dim=1) == y).all())
        if loss == "margin":
            assert bool((view.scores(above).argmax(dim=1) != y).all())
        else:  # these may go for another label first
            assert bool((margin(view.scores(above), y) > margin(view.scores(x), y)).all())

    def test_dlr_goes_on_where_a_softmax_saturates(self) -> None:
        linear = LinearView.random(3, 6)
        view = LinearView((1e4 * linear.weight).float(), (1e4 * linear.bias).float())
        x = torch.randn(3, 6, generator=torch.Generator().manual_seed(2))
        y = view.scores(x).argmax(dim=1)
        assert torch.equal(pgd(view, x, y, 3.0, Pgd(steps=5)), x)
        assert bool((pgd(view, x, y, 3.0, Pgd(steps=5, loss="dlr")) != x).any(dim=1).all())

    @pytest.mark.parametrize("goal", ["all_targets", {"label": "sad"}])
    def test_dlr_has_no_target(self, goal: object) -> None:
        with pytest.raises(ValueError, match="dlr has no target: give ce or margin") as refused:
            parse({"type": "pgd", "loss": "dlr", "goal": goal})
        assert "loss" in str(refused.value)

    def test_dlr_needs_three_labels(self) -> None:
        unsuited = Pgd(loss="dlr").unsuited(("a", "b"))
        assert unsuited is not None
        assert (unsuited.field, unsuited.value) == ("loss", "dlr")
        assert unsuited.remedy == "give ce or margin"
        assert Pgd(loss="dlr").unsuited(("a", "b", "c")) is None
        assert Pgd(loss="margin").unsuited(("a", "b")) is None


class TestTargets:
    @pytest.mark.parametrize("loss", ["ce", "margin"])
    def test_are_reached_on_a_linear_model(self, loss: Loss) -> None:
        view = LinearView.random(3, 8)
        x = torch.randn(3, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
        for label in view.labels:
            attack = parse({"type": "pgd", "goal": {"label": label}, "loss": loss, "epsilon": [9]})
            radius = torch.full((3,), 9.0).double()
            (found,) = attack.craft(view, x, torch.tensor([0, 1, 2]), [radius], Rng(0, range(3)))
            assert [view.labels[n] for n in view.scores(found.x).argmax(dim=1)] == [label] * 3


class TestCost:
    def test_is_a_gradient_a_step_and_a_look_at_the_last_point(self) -> None:
        view = NetView(tiny_net())
        pgd(view, *clips(), 0.1, Pgd(steps=7, restarts=2))
        assert view.passes == (["backward"] * 7 + ["forward"]) * 2
        assert Pgd(steps=7, restarts=2).cost(3) == Cost(forwards=16, backwards=14)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("steps", 0), ("steps", -1), ("steps", 1001), ("steps", 2.5), ("steps", "3"),
        ("steps", True), ("step", 0), ("step", -0.1), ("step", 2.1), ("step", math.nan),
        ("step", math.inf), ("restarts", 0), ("restarts", 101), ("loss", "mse"),
    ],
)  # fmt: skip
def test_parameters_that_make_no_attack_are_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(ValueError, match="1 validation error for Pgd") as refused:
        parse({"type": "pgd", "epsilon": [0.1], name: value})
    assert refused.value.errors()[0]["loc"] == (name,)  # type: ignore[attr-defined]
