"""The momentum iterative method; tests/conformity holds it to ART as well."""

from typing import Any, Final

import pytest
import torch

from models.attacks import ATTACKS, TargetLabel
from models.attacks.fgsm import Fgsm
from models.attacks.mim import Mim
from models.attacks.pgd import Pgd
from models.rng import Rng
from models.threats import ThreatModel
from tests.models.attacks.trained import LABELS, LARGE, clips_of, every_threat, trained

SMALL: Final[list[dict[str, Any]]] = [
    {"steps": 3, "restarts": 2},
    {"steps": 2, "decay": 0.5, "loss": "margin", "goal": "all_targets"},
    {"steps": 2, "goal": {"label": "sad"}},
]

RADIUS = {"features": 0.05, "waveform": 0.001}


class TestThePath:
    def points(self, attack: Any, threat: ThreatModel, radius: float) -> list[torch.Tensor]:
        """Of one restart from the clips, in float64."""
        x, y = clips_of(threat.domain)
        x = x.double()
        view = trained(dtype=torch.float64).view(threat.domain)
        sizes = torch.full((len(x),), radius, dtype=x.dtype)
        return [point.x for point in attack.path(view, x, attack.objective(y), sizes, x)]

    @every_threat
    def test_it_steps_along_a_decaying_sum_of_gradients_of_l1_norm_one(
        self, threat: ThreatModel
    ) -> None:
        """Alg. 1 of the paper, for one clip after another."""
        radius, decay, step = RADIUS[threat.domain], 0.7, 0.2
        attack = Mim(domain=threat.domain, norm=threat.norm, steps=4, step=step, decay=decay)
        ours = self.points(attack, threat, radius)
        x, y = clips_of(threat.domain)
        seen = trained(dtype=torch.float64).view(threat.domain)
        for clip in range(len(x)):
            one = x[clip : clip + 1].double()
            objective = attack.objective(y[clip : clip + 1])
            point, g = one, torch.zeros_like(one)
            for points in ours:
                torch.testing.assert_close(points[clip : clip + 1], point, rtol=0, atol=1e-12)
                gradient = seen.gradient(point, objective).gradient
                g = decay * g + gradient / gradient.abs().sum()
                way = g.sign() if threat.norm == "linf" else g / g.square().sum().sqrt()
                point = point + step * radius * way  # 4 · .2 of the radius: never at its edge

    @every_threat
    def test_without_memory_it_is_pgd(self, threat: ThreatModel) -> None:
        where: Any = {"domain": threat.domain, "norm": threat.norm, "steps": 4, "step": 0.5}
        radius = RADIUS[threat.domain]
        ours = self.points(Mim(**where, decay=0.0), threat, radius)
        for point, expected in zip(ours, self.points(Pgd(**where), threat, radius), strict=True):
            torch.testing.assert_close(point, expected, rtol=0, atol=1e-9)

    @every_threat
    def test_a_single_step_is_fgsm(self, threat: ThreatModel) -> None:
        x, y = clips_of(threat.domain)
        view = trained().view(threat.domain)
        radius, where = torch.full((4,), RADIUS[threat.domain]), threat.to_dict()
        where.pop("unit")
        given: Any = where
        expected = Fgsm(**given).run(view, x, y, radius, Rng(0, range(4)))
        found = Mim(**given, steps=1).run(view, x, y, radius, Rng(0, range(4)))
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)

    def test_the_steps_together_are_the_radius(self) -> None:
        points = self.points(Mim(steps=5), ThreatModel(), 0.05)
        largest = [float((point - points[0]).abs().max()) for point in points]
        assert largest == pytest.approx([0.0, 0.01, 0.02, 0.03, 0.04, 0.05], rel=1e-6)


class TestGoals:
    @pytest.mark.parametrize("loss", ["ce", "margin"])
    @every_threat
    def test_a_target_is_moved_towards(self, threat: ThreatModel, loss: Any) -> None:
        x, y = clips_of(threat.domain, 12)
        view = trained().view(threat.domain)
        attack = Mim(
            domain=threat.domain, norm=threat.norm, loss=loss, steps=8,
            goal=TargetLabel(label="high"),
        )  # fmt: skip
        radius = threat.radius(x, LARGE[threat.domain, threat.norm])
        (crafted,) = attack.craft(view, x, y, [radius], Rng(0, range(12)))
        hits = [int((view.scores(point).argmax(dim=1) == 2).sum()) for point in (x, crafted.x)]
        assert hits[0] < 8
        assert hits[1] >= 11

    def test_all_targets_finds_the_nearest(self) -> None:
        x, y = clips_of("features", 12)
        view = trained().view("features")
        attack = Mim(steps=4, goal="all_targets")
        (crafted,) = attack.craft(view, x, y, [torch.full((12,), 0.05)], Rng(0, range(12)))
        assert attack.cost(3) == attack.run_cost(3) * 2 + type(attack.run_cost(3))(forwards=2)
        own = [LABELS[number] for number in y.tolist()]
        assert all(
            target != label for target, label in zip(crafted.details["target"], own, strict=True)
        )
        broken = int((view.scores(crafted.x).argmax(dim=1) != y).sum())
        assert broken > int((view.scores(x).argmax(dim=1) != y).sum())

    def test_dlr_has_no_target_and_needs_three_labels(self) -> None:
        with pytest.raises(ValueError, match="dlr has no target: give ce or margin"):
            ATTACKS.parse({"type": "mim", "loss": "dlr", "goal": "all_targets"})
        assert Mim(loss="dlr").unsuited(LABELS[:2]) is not None
        assert Mim(loss="dlr").unsuited(LABELS[:3]) is None


class TestParameters:
    @pytest.mark.parametrize(
        ("field", "value"), [("decay", -0.1), ("step", 0.0), ("steps", 0), ("restarts", 101)]
    )
    def test_out_of_bounds_are_refused_by_name(self, field: str, value: float) -> None:
        with pytest.raises(ValueError, match=field):
            ATTACKS.parse({"type": "mim", field: value})

    def test_the_decay_is_one_unless_given(self) -> None:
        assert Mim().parameters()["decay"] == 1.0
