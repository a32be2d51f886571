"""The ensemble: a cascade that is never weaker than one of its members on its own."""

from typing import Any, Final

import pytest
import torch
from torch import Tensor, nn

from models.attacks import Attack, parse
from models.attacks.ensemble import Ensemble
from models.budget import within_budget
from models.rng import Rng
from models.threats import ThreatModel
from models.victims import Cost, Meter, View, metered
from tests.models.attacks.trained import STRENGTHS, clips_of, every_threat, trained
from tests.models.views import NetView

SMALL: Final[list[dict[str, Any]]] = [{"steps": 2, "restarts": 2, "queries": 4}]

CLASSES = [2, 3, 4, 7, 8]
N = 10
PARAMETERS = {"steps": 3, "restarts": 2, "queries": 25}


def ensemble(threat: ThreatModel, **more: Any) -> Ensemble:
    return Ensemble(**{"domain": threat.domain, "norm": threat.norm} | PARAMETERS | more)


def alone(threat: ThreatModel, classes: int) -> dict[str, Attack]:
    """The members as a request would ask for them, written out."""
    where: dict[str, Any] = {"domain": threat.domain, "norm": threat.norm}
    walk = where | {"steps": 3, "restarts": 2}
    members = {
        "pgd": parse(walk | {"type": "pgd"}),
        "apgd-ce": parse(walk | {"type": "apgd", "loss": "ce"}),
        "apgd-dlr": parse(walk | {"type": "apgd", "loss": "dlr"}),
        "square": parse(where | {"type": "square", "queries": 25}),
    }
    if classes == 2:
        del members["apgd-dlr"]
    return members


def broken(attack: Attack, view: View, x: Tensor, y: Tensor, radius: Tensor) -> Tensor:
    """Of which clips an audit would say that the attack broke them."""
    (crafted,) = attack.craft(view, x, y, [radius], Rng(1, range(len(x))))
    counted = within_budget(attack.threat, x, crafted.x, radius)
    return view.scores(counted).argmax(dim=1) != y


class TestNeverWeaker:
    @pytest.mark.parametrize("classes", CLASSES)
    @every_threat
    def test_than_any_member_and_the_first_that_breaks_a_clip_is_named(
        self, threat: ThreatModel, classes: int
    ) -> None:
        x, y = clips_of(threat.domain, N, classes)
        view = trained(classes).view(threat.domain)
        radius = threat.radius(x, STRENGTHS[threat.domain, threat.norm])
        radius = radius * torch.linspace(0.01, 1.5, N)
        attack, members = ensemble(threat), alone(threat, classes)
        (crafted,) = attack.craft(view, x, y, [radius], Rng(1, range(N)))
        together = broken(attack, view, x, y, radius)
        each = {name: broken(one, view, x, y, radius) for name, one in members.items()}
        assert torch.equal(together, torch.stack(list(each.values())).any(dim=0))
        first = [
            next((name for name in members if bool(each[name][clip])), None) for clip in range(N)
        ]
        assert crafted.details["member"] == first
        assert 0 < int(together.sum()) < N

    def test_square_is_left_out_of_one_without_queries(self) -> None:
        attack = ensemble(ThreatModel(), queries=0)
        assert list(attack.members(3)) == ["pgd", "apgd-ce", "apgd-dlr"]
        more = ensemble(ThreatModel()).run_cost(3).forwards - attack.run_cost(3).forwards
        assert more == PARAMETERS["queries"] + 1  # and the pass that judges it

    @pytest.mark.parametrize("classes", CLASSES)
    def test_dlr_is_left_out_of_two_classes_and_that_is_said(self, classes: int) -> None:
        threat = ThreatModel()
        x, y = clips_of("features", 2, classes)
        attack = ensemble(threat)
        (crafted,) = attack.craft(
            trained(classes).view("features"), x, y, [torch.full((2,), 1e-4)], Rng(0, [0, 1])
        )
        members = ["pgd", "apgd-ce", "apgd-dlr", "square"]
        if classes == 2:
            members.remove("apgd-dlr")
            assert attack.left_out(2) == ("apgd-dlr",)
            assert crafted.details["left_out"] == [["apgd-dlr"]] * 2
        else:
            assert attack.left_out(classes) == ()
            assert "left_out" not in crafted.details
        assert list(attack.members(classes)) == members
        assert attack.unsuited(trained(classes).labels) is None


class TestTheCascade:
    def test_asks_nothing_more_of_a_clip_that_is_broken(self) -> None:
        threat = ThreatModel()
        x, y = clips_of("features", 16)
        attack = ensemble(threat)
        meter = Meter(16, attack.cost(3))
        view = metered(trained().view("features"), meter, attack.needs, 16)
        (crafted,) = attack.craft(view, x, y, [torch.full((16,), 0.03)], Rng(1, range(16)))
        first = attack.members(3)["pgd"].cost(3) + Cost(forwards=1)
        spent = dict(zip(range(16), meter.costs(), strict=True))
        names = crafted.details["member"]
        assert {"pgd", None} <= set(names)
        for clip, name in enumerate(names):
            assert (spent[clip] == first) == (name == "pgd")
            assert spent[clip].within(attack.cost(3))
            assert spent[clip] == attack.cost(3) or name is not None

    def test_costs_what_its_members_cost_and_a_pass_to_judge_each(self) -> None:
        attack = Ensemble(steps=10, restarts=3, queries=100)
        walk = Cost(forwards=3 * 11, backwards=3 * 10)
        assert attack.cost(3) == walk * 3 + Cost(forwards=100 + 4)
        assert attack.cost(2, strengths=5) == (walk * 2 + Cost(forwards=100 + 3)) * 5

    def test_of_a_clip_that_stands_gives_what_came_nearest(self) -> None:
        x, y = clips_of("features", 8)
        view, radius = trained().view("features"), torch.full((8,), 1e-3)
        attack = ensemble(ThreatModel())
        (crafted,) = attack.craft(view, x, y, [radius], Rng(1, range(8)))
        assert bool((crafted.x != x).flatten(1).any(dim=1).all())
        (pgd,) = attack.members(3)["pgd"].craft(view, x, y, [radius], Rng(1, range(8)))
        objective = attack.objective(y, "margin")
        ours, of_pgd = (objective.values(view.scores(one.x)) for one in (crafted, pgd))
        stands = torch.tensor([name is None for name in crafted.details["member"]])
        assert bool((ours >= of_pgd - 1e-6)[stands].all())
        assert int(stands.sum()) > 2


class Blind(nn.Module):
    """Its gradient is zero, or no number, and its scores tell what to do."""

    def __init__(self, slope: float) -> None:
        super().__init__()
        self.slope = slope

    def forward(self, x: Tensor) -> Tensor:
        mean = x.detach().flatten(1).mean(dim=1)
        hidden = self.slope * (0 * x.flatten(1)[:, 0])
        lost = hidden.sqrt() if self.slope else hidden
        return torch.stack([0.02 + lost, mean, -mean, mean - 1], dim=1)


class TestWhatIsMissing:
    @pytest.mark.parametrize("slope", [0.0, 1.0], ids=["zero", "no number"])
    def test_a_gradient_is_made_up_for_by_square(self, slope: float) -> None:
        x, y = torch.zeros(4, 8, 8), torch.zeros(4, dtype=torch.int64)
        view = NetView(Blind(slope), 4)
        attack = Ensemble(steps=2, queries=100)
        (crafted,) = attack.craft(view, x, y, [torch.full((4,), 0.1)], Rng(0, range(4)))
        assert crafted.details["member"] == ["square"] * 4
        assert bool((view.scores(crafted.x).argmax(dim=1) != 0).all())

    def test_a_gradient_that_is_no_number_is_not_hidden_where_no_member_breaks_the_clip(
        self,
    ) -> None:
        x, y = torch.zeros(4, 8, 8), torch.zeros(4, dtype=torch.int64)
        attack = Ensemble(steps=2, queries=20)
        (crafted,) = attack.craft(
            NetView(Blind(1.0), 4), x, y, [torch.full((4,), 1e-6)], Rng(0, range(4))
        )
        assert crafted.details["member"] == [None] * 4
        assert bool(crafted.x.isnan().flatten(1).all(dim=1).all())

    def test_a_zero_gradient_and_equal_scores_move_nothing(self) -> None:
        x, y = torch.zeros(4, 8, 8), torch.zeros(4, dtype=torch.int64)

        class Same(nn.Module):
            def forward(self, x: Tensor) -> Tensor:
                return 0 * x.flatten(1)[:, :3] + torch.tensor([1.0, 0.5, 0.0])

        attack = Ensemble(steps=2, restarts=3, queries=20)
        (crafted,) = attack.craft(NetView(Same()), x, y, [torch.ones(4)], Rng(0, range(4)))
        assert torch.equal(crafted.x, x)
