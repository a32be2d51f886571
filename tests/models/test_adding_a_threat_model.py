"""The example of docs/adding-a-threat-model.md is a ball like the others."""

from typing import Any

import pytest
import torch

from models import threats
from models.attacks.pgd import Pgd
from models.rng import Rng
from models.threats import Measure, ThreatModel
from tests.models.pages import added
from tests.models.views import LinearView


@pytest.fixture
def l1(monkeypatch: pytest.MonkeyPatch) -> ThreatModel:
    """The example, put where the page says."""
    with added("adding-a-threat-model.md") as names:
        ball = names["L1"]()
    balls: Any = threats.BALLS
    measures: Any = threats.MEASURES
    monkeypatch.setitem(balls, "l1", ball)
    monkeypatch.setitem(measures, ("features", "l1"), Measure("epsilon", "sigma", 100_000.0))
    return ThreatModel("features", "l1")  # type: ignore[arg-type]


class TestAddingAThreatModel:
    def test_no_point_of_the_ball_is_nearer(self, l1: ThreatModel) -> None:
        noise = torch.Generator().manual_seed(0)
        x, x_adv = torch.randn(2, 1, 5, dtype=torch.float64, generator=noise).unbind()
        found = l1.project(x, x_adv, torch.tensor([0.5]).double())
        assert float((found - x).abs().sum()) == pytest.approx(0.5)
        others = torch.randn(20_000, 5, dtype=torch.float64, generator=noise)
        others = x + 0.5 * others / others.abs().sum(dim=1, keepdim=True)
        others = torch.cat([others, found + 0.01 * (others - found)])
        assert float((others - x_adv).norm(dim=1).min()) >= float((found - x_adv).norm())

    def test_leaves_what_is_within_and_projects_what_is_no_number(self, l1: ThreatModel) -> None:
        x, radius = torch.zeros(3, 3), torch.ones(3)
        inf, nan = float("inf"), float("nan")
        x_adv = torch.tensor([[0.2, -0.3, 0.1], [nan, 0.5, 0.0], [3.0, inf, nan]])
        expected = torch.tensor([[0.2, -0.3, 0.1], [0.0, 0.5, 0.0], [0.0, 1.0, 0.0]])
        torch.testing.assert_close(l1.project(x, x_adv, radius), expected)
        assert torch.equal(l1.project(x, x_adv, torch.zeros(3)), x)

    def test_no_change_of_its_size_gains_more_than_the_steepest(self, l1: ThreatModel) -> None:
        gradient = torch.tensor([[0.5, -2.0, 1.0], [0.0, 0.0, 0.0], [1.0, float("nan"), 0.0]])
        found = l1.steepest(gradient)
        assert found[:2].tolist() == [[0.0, -1.0, 0.0], [0.0, 0.0, 0.0]]
        assert bool(found[2].isnan().any())

    def test_a_random_point_is_in_the_ball(self, l1: ThreatModel) -> None:
        x, radius = torch.ones(50, 4, 2), torch.full((50,), 0.3)
        sizes = l1.size(l1.random_start(x, radius, Rng(0, range(50))) - x)
        assert 0 < float(sizes.min()) < float(sizes.max()) <= 0.3 + 1e-6

    def test_an_attack_breaks_a_linear_model_just_above_the_smallest_change(
        self, l1: ThreatModel
    ) -> None:
        """The margin over ‖w_y − w_j‖∞, the dual norm."""
        view = LinearView.random(2, 6)
        x = torch.randn(4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        y = view.scores(x).argmax(dim=1)
        smallest = view.smallest(x, y, order=float("inf"))
        norm: Any = "l1"
        attack = Pgd.model_construct(domain="features", norm=norm, steps=2)
        for size, broken in ((1 - 1e-6, False), (1 + 1e-6, True)):
            found = attack.run(view, x, y, size * smallest, Rng(0, range(4)))
            assert ((view.scores(found).argmax(dim=1) != y) == broken).all()
