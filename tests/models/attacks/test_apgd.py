"""Auto-PGD against its paper: Algorithm 1 is written out here for one clip, in plain lists."""

import math
from fractions import Fraction
from typing import Any, Final, Literal

import pytest
import torch
from torch import Tensor

from models.attacks import ATTACKS, TargetLabel
from models.attacks.apgd import Apgd, checkpoints
from models.attacks.pgd import Pgd
from models.objectives import Objective
from models.rng import Rng
from models.threats import Norm, ThreatModel
from models.victims import View
from tests.models.attacks.trained import (
    LABELS,
    LARGE,
    STRENGTHS,
    THREATS,
    clips_of,
    every_threat,
    trained,
)

SMALL: Final[list[dict[str, Any]]] = [
    {"steps": 3, "restarts": 2},
    {"steps": 2, "loss": "margin", "goal": "all_targets"},
    {"steps": 2, "loss": "dlr"},
    {"steps": 2, "goal": {"label": "sad"}, "labels": "predicted"},
]

STEPS = 25
"""With checkpoints after 6, 11, 15, 18, 20, 22 and 24."""


def dlr(z: list[float], y: int) -> float:
    """Eq. 6 of the paper."""
    first, _, third = sorted(z, reverse=True)[:3]
    return -(z[y] - max(value for i, value in enumerate(z) if i != y)) / (first - third)


def cross_entropy(z: list[float], y: int) -> float:
    return -z[y] + math.log(sum(math.exp(value) for value in z))


def length(vector: Tensor) -> float:
    return math.sqrt(float((vector * vector).sum()))


class Written:
    """Algorithm 1 for one clip x of shape (1, ...), in float64."""

    def __init__(self, view: View, x: Tensor, y: int, radius: float, norm: Norm, loss: str) -> None:
        self.view, self.x, self.radius, self.norm = view, x, radius, norm
        self.objective = Objective(torch.tensor([y]), loss)  # type: ignore[arg-type]
        self.formula = dlr if loss == "dlr" else cross_entropy
        self.y = y

    def f(self, point: Tensor) -> float:
        return self.formula(self.view.scores(point)[0].tolist(), self.y)

    def project(self, point: Tensor) -> Tensor:
        change = point - self.x
        if self.norm == "linf":
            change = change.clamp(-self.radius, self.radius)
        elif length(change) > self.radius:
            change = change * self.radius / length(change)
        return self.x + change

    def direction(self, point: Tensor) -> Tensor:
        gradient = self.view.gradient(point, self.objective).gradient
        return gradient.sign() if self.norm == "linf" else gradient / length(gradient)

    def evaluated(self, n: int) -> list[Tensor]:
        """x⁽⁰⁾ … x⁽ᴺ⁾, each as it was before line 14 may have replaced it."""
        w = written_checkpoints(n)
        first = self.project(self.x + 2 * self.radius * self.direction(self.x))
        x, seen = [self.x, first], [self.x, first]
        f = [self.f(self.x), self.f(first)]
        f_max, x_max = [f[0], max(f)], first if f[1] > f[0] else self.x
        eta = [2 * self.radius] * 2
        for k in range(1, n):
            z = self.project(x[k] + eta[k] * self.direction(x[k]))
            x.append(self.project(x[k] + 0.75 * (z - x[k]) + 0.25 * (x[k] - x[k - 1])))
            seen.append(x[k + 1])
            f.append(self.f(x[k + 1]))
            if f[k + 1] > f_max[k]:
                x_max = x[k + 1]
            f_max.append(max(f_max[k], f[k + 1]))
            eta.append(eta[k])
            if k in w:
                before = ([0, *w])[w.index(k)]
                rises = sum(f[i + 1] > f[i] for i in range(before, k))
                if rises < 0.75 * (k - before) or (
                    eta[before] == eta[k] and f_max[before] == f_max[k]
                ):
                    eta[k + 1] = eta[k] / 2
                    x[k + 1], f[k + 1] = x_max, f_max[k + 1]
        self.halvings = round(math.log2(eta[0] / eta[-1]))
        return seen


def written_checkpoints(n: int) -> list[int]:
    """⌈p_j N⌉ with p_0 = 0, p_1 = .22, p_{j+1} = p_j + max(p_j − p_{j−1} − .03, .06)."""
    p = [Fraction(0), Fraction(22, 100)]
    while p[-1] <= 1:
        p.append(p[-1] + max(p[-1] - p[-2] - Fraction(3, 100), Fraction(6, 100)))
    return [math.ceil(one * n) for one in p[1:] if one <= 1]


RADII = {
    ("features", "linf"): 0.1,
    ("features", "l2"): 1.0,
    ("waveform", "linf"): 0.002,
    ("waveform", "l2"): 0.05,
}


class TestThePaper:
    @pytest.mark.parametrize("loss", ["ce", "dlr"])
    @every_threat
    def test_every_point_of_the_path_is_algorithm_1s(
        self, threat: ThreatModel, loss: Literal["ce", "dlr"]
    ) -> None:
        x, y = clips_of(threat.domain, 3)
        x, view = x.double(), trained(dtype=torch.float64)
        # Where the label comes last of three, dlr is 1 and flat: the radius stays below that.
        radius = RADII[threat.domain, threat.norm] / (4 if loss == "dlr" else 1)
        attack = Apgd(domain=threat.domain, norm=threat.norm, steps=STEPS, loss=loss)
        seen = view.view(threat.domain)
        objective = attack.objective(y, loss)
        sizes = torch.full((3,), radius, dtype=torch.float64)
        ours = [point.x for point in attack.path(seen, x, objective, sizes, x)]
        halvings = []
        for clip in range(3):
            one = slice(clip, clip + 1)
            written = Written(seen, x[one], int(y[clip]), radius, threat.norm, loss)
            theirs = written.evaluated(STEPS)
            assert len(ours) == len(theirs) == STEPS + 1
            for k, (point, expected) in enumerate(zip(ours, theirs, strict=True)):
                torch.testing.assert_close(
                    point[one], expected, rtol=0, atol=1e-9 * radius, msg=f"x of {k}"
                )
            halvings.append(written.halvings)
        assert max(halvings) >= 2  # the schedule was put to use

    def test_the_checkpoints_of_a_hundred_steps(self) -> None:
        assert sorted(checkpoints(100)) == [22, 41, 57, 70, 80, 87, 93, 99]

    @pytest.mark.parametrize("steps", [1, 2, 5, 7, 20, 50, 999])
    def test_the_checkpoints_of_any_number_of_steps(self, steps: int) -> None:
        assert checkpoints(steps) == set(written_checkpoints(steps))

    def test_the_losses(self) -> None:
        logits = torch.tensor([[1.0, 3.0, 2.5, -1.0], [0.2, 0.1, 0.4, 0.3]], dtype=torch.float64)
        for y in range(4):
            at = torch.full((2,), y)
            for loss, formula in (("ce", cross_entropy), ("dlr", dlr)):
                values = Objective(at, loss).values(logits)  # type: ignore[arg-type]
                expected = [formula(row, y) for row in logits.tolist()]
                assert values.tolist() == pytest.approx(expected, rel=1e-9)


class TestAgainstPgd:
    @pytest.mark.parametrize("loss", ["ce", "margin", "dlr"])
    @every_threat
    def test_it_breaks_as_many_clips_with_the_same_passes(
        self, threat: ThreatModel, loss: Literal["ce", "margin", "dlr"]
    ) -> None:
        x, y = clips_of(threat.domain, 24)
        view = trained().view(threat.domain)
        radius = threat.radius(x, STRENGTHS[threat.domain, threat.norm])
        broken = []
        where: Any = {"domain": threat.domain, "norm": threat.norm, "steps": 10, "loss": loss}
        for attack in (Pgd(**where), Apgd(**where)):
            found = attack.run(view, x, y, radius, Rng(0, range(24)))
            broken.append(int((view.scores(found).argmax(dim=1) != y).sum()))
        assert Pgd(**where).cost(3) == Apgd(**where).cost(3)
        assert 4 < broken[0] < 24
        assert broken[1] >= broken[0]


class TestRestarts:
    def test_the_first_starts_at_the_clip_and_others_at_random_points(self) -> None:
        x, y = clips_of("features")
        starts: list[Tensor] = []

        class Watched(Apgd):
            def path(self, *args: Any) -> Any:
                starts.append(args[-1])
                return super().path(*args)

        radius = torch.full((4,), 0.1)
        view = trained().view("features")
        Watched(steps=2, restarts=3).run(view, x, y, radius, Rng(0, range(4)))
        assert torch.equal(starts[0], x)
        assert not torch.equal(starts[1], x)
        assert not torch.equal(starts[1], starts[2])
        assert all(float((start - x).abs().max()) <= 0.1 + 1e-6 for start in starts)

    @pytest.mark.parametrize("threat", THREATS[:2], ids=["linf", "l2"])
    def test_more_of_them_never_lower_the_loss(self, threat: ThreatModel) -> None:
        x, y = clips_of("features", 12)
        view = trained().view("features")
        radius = torch.full((12,), RADII["features", threat.norm])
        values = []
        for restarts in (1, 4):
            attack = Apgd(norm=threat.norm, steps=4, restarts=restarts)
            found = attack.run(view, x, y, radius, Rng(0, range(12)))
            values.append(attack.objective(y).values(view.scores(found)))
        assert bool((values[1] >= values[0] - 1e-6).all())
        assert bool((values[1] > values[0] + 1e-6).any())


class TestGoals:
    @pytest.mark.parametrize("loss", ["ce", "margin"])
    @every_threat
    def test_a_target_is_moved_towards(
        self, threat: ThreatModel, loss: Literal["ce", "margin"]
    ) -> None:
        x, y = clips_of(threat.domain, 12)
        view = trained().view(threat.domain)
        radius = threat.radius(x, LARGE[threat.domain, threat.norm])
        attack = Apgd(
            domain=threat.domain, norm=threat.norm, steps=8, loss=loss,
            goal=TargetLabel(label="high"),
        )  # fmt: skip
        (crafted,) = attack.craft(view, x, y, [radius], Rng(0, range(12)))
        hits = [int((view.scores(point).argmax(dim=1) == 2).sum()) for point in (x, crafted.x)]
        assert hits[0] < 8
        assert hits[1] >= 11

    def test_dlr_has_no_target(self) -> None:
        with pytest.raises(ValueError, match="dlr has no target: give ce or margin"):
            ATTACKS.parse({"type": "apgd", "loss": "dlr", "goal": "all_targets"})

    def test_dlr_needs_three_labels(self) -> None:
        attack = Apgd(loss="dlr")
        fault = attack.unsuited(LABELS[:2])
        assert fault is not None
        assert (fault.field, fault.value) == ("loss", "dlr")
        assert attack.unsuited(LABELS[:3]) is None
        assert Apgd().unsuited(LABELS[:2]) is None
