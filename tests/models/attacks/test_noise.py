"""Noise: its size to the last bit, the worst of its draws, and the share of them that broke."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from models.attacks import Crafted, parse
from models.attacks.noise import Noise
from models.objectives import margin
from models.rng import Rng
from models.victims import Access, Cost
from tests.models.attacks.table import Parameters
from tests.models.victims.spectrogram import inputs, victim
from tests.models.views import LinearView, NetView

SMALL: list[Parameters] = [{"draws": 3}]
N = 4


class Indifferent(nn.Module):
    """Says the same of everything."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.zeros(len(x), 3)


def draw(attack: Noise, x: Tensor, radius: float, seed: int = 0) -> Tensor:
    """One draw for each clip; what the model says does not matter."""
    view = NetView(Indifferent(), 3, attack.domain)
    radii = torch.full((len(x),), radius).to(x)
    return attack.run(view, x, torch.zeros(len(x)).long(), radii, Rng(seed, range(len(x))))


def worst_of(view: LinearView, x: Tensor, y: Tensor, radius: float, draws: int) -> Crafted:
    attack = Noise(draws=draws, epsilon=(radius,))
    radii = [torch.full((len(x),), radius).to(x)]
    (found,) = attack.craft(view, x, y, radii, Rng(0, range(len(x))))
    return found


class TestSign:
    @pytest.mark.parametrize("epsilon", [0.02, 0.1, 1.0])
    def test_moves_every_value_by_epsilon_exactly(self, epsilon: float) -> None:
        """Around zero nothing is rounded: every change is −ε or ε to the bit."""
        found = draw(Noise(kind="sign"), torch.zeros(N, 30, 64), epsilon)
        size = torch.tensor(epsilon)
        assert bool(((found == size) | (found == -size)).all())
        assert float(found.abs().amax()) == float(size)

    def test_of_any_clip_is_the_rounded_sum(self) -> None:
        x, _ = inputs("features")
        found = draw(Noise(), x, 0.02)
        size = torch.tensor(0.02)
        assert bool(((found == x + size) | (found == x - size)).all())

    def test_is_half_and_half(self) -> None:
        found = draw(Noise(kind="sign"), torch.zeros(N, 100, 64), 0.5)
        assert float(found.mean()) == pytest.approx(0, abs=0.01)


class TestUniform:
    def test_fills_the_ball(self) -> None:
        found = draw(Noise(kind="uniform"), torch.zeros(N, 100, 64), 0.5)
        assert float(found.abs().max()) <= 0.5
        assert float(found.std()) == pytest.approx(1 / 12**0.5, rel=0.02)


class TestWhite:
    @pytest.mark.parametrize("db", [0.0, 20.0, 40.0, 60.0])
    def test_is_at_the_snr_to_a_hundredth_of_a_db(self, db: float) -> None:
        sounds, _ = inputs("waveform")
        sounds[1] *= 0.01
        attack = parse({"type": "noise", "domain": "waveform", "snr_db": [db]})
        view = victim().view("waveform")
        radius = attack.threat.radius(sounds, db)
        (found,) = attack.craft(view, sounds, torch.zeros(N).long(), [radius], Rng(0, range(N)))
        change = found.x.double() - sounds.double()
        ratio = sounds.double().square().mean(dim=1) / change.square().mean(dim=1)
        assert (10 * ratio.log10()).tolist() == pytest.approx([db] * N, abs=0.01)

    def test_is_gaussian_and_white(self) -> None:
        found = draw(Noise(norm="l2"), torch.zeros(1, 20_000), 1.0)[0]
        scaled = found / found.std()
        assert float(scaled.pow(4).mean()) == pytest.approx(3, abs=0.15)  # kurtosis
        assert float((scaled[1:] * scaled[:-1]).mean()) == pytest.approx(0, abs=0.02)

    def test_of_log_mels_is_of_the_radius(self) -> None:
        x, _ = inputs("features", dtype=torch.float64)
        change = draw(Noise(norm="l2", kind="white"), x, 3.0) - x
        assert change.flatten(1).norm(dim=1).tolist() == pytest.approx([3.0] * N)

    def test_of_digital_silence_is_silence(self) -> None:
        silence = torch.zeros(2, 8)
        assert torch.equal(draw(Noise(domain="waveform", norm="l2"), silence, 0.0), silence)

    def test_near_full_scale_stays_in_the_box(self) -> None:
        sounds = torch.full((1, 2000), 0.999)
        found = draw(Noise(domain="waveform", norm="l2"), sounds, 1.0)
        assert float(found.max()) == 1.0
        assert float((found - sounds).norm()) < 1.0


class TestDraws:
    VIEW = LinearView.random(3, 6)
    X = torch.randn(40, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    Y = VIEW.scores(X).argmax(dim=1)

    def each(self, radius: float, draws: int) -> Tensor:
        """The draws one by one, (draws, clips, 6)."""
        rng = Rng(0, range(len(self.X))).named("noise")
        return torch.stack([self.X + radius * rng.signs((6,)).to(self.X) for _ in range(draws)])

    def test_the_worst_of_them_counts(self) -> None:
        points = self.each(1.0, 5)
        margins = torch.stack([margin(self.VIEW.scores(point), self.Y) for point in points])
        found = worst_of(self.VIEW, self.X, self.Y, 1.0, draws=5).x
        torch.testing.assert_close(found, points[margins.argmax(dim=0), range(len(self.X))])

    def test_of_how_many_broke_the_clip_each_row_tells(self) -> None:
        points = self.each(1.0, 5)
        broken = sum((self.VIEW.scores(point).argmax(dim=1) != self.Y).long() for point in points)
        found = worst_of(self.VIEW, self.X, self.Y, 1.0, draws=5)
        assert isinstance(broken, Tensor)
        assert found.details == {"broken_draws": broken.tolist()}
        assert 0 < sum(broken.tolist()) < 5 * len(self.X)
        # the worst breaks a clip exactly where any of them does
        after = self.VIEW.scores(found.x).argmax(dim=1)
        assert ((after != self.Y) == (broken > 0)).all()

    def test_more_of_them_are_never_weaker(self) -> None:
        few, many = (worst_of(self.VIEW, self.X, self.Y, 1.0, draws=n).x for n in (2, 20))
        worse = margin(self.VIEW.scores(many), self.Y) >= margin(self.VIEW.scores(few), self.Y)
        assert bool(worse.all())

    def test_cost_a_query_each(self) -> None:
        view = LinearView.random(3, 6)
        worst_of(view, self.X, self.Y, 1.0, draws=7)
        assert view.passes == ["forward"] * 7
        attack = Noise(draws=7, epsilon=(0.1, 0.2))
        assert attack.cost(3, 2) == Cost(forwards=14, queries=14)


class TestTheControl:
    def test_has_no_adversary_and_sees_scores_alone(self) -> None:
        assert Noise.control
        assert Noise.needs == Access.SCORES
        assert not Noise.can_target

    def test_is_weaker_than_an_attack_of_its_size(self) -> None:
        x, y = inputs("features", n=8, dtype=torch.float64)
        view = victim(dtype=torch.float64).view("features")
        radius = torch.full((8,), 0.3).double()
        noisy, attacked = (
            margin(view.scores(attack.run(view, x, y, radius, Rng(0, range(8)))), y)
            for attack in (Noise(draws=5), parse({"type": "fgsm"}))
        )
        assert float(noisy.mean()) < float(attacked.mean())

    @pytest.mark.parametrize(
        ("given", "where", "why"),
        [
            ({"kind": "white"}, "kind", "is noise of norm l2, and the norm is linf: give sign or"),
            ({"kind": "sign", "norm": "l2"}, "kind", "give white"),
            ({"kind": "pink"}, "kind", "'sign', 'uniform' or 'white'"),
            ({"draws": 0}, "draws", "greater than or equal to 1"),
            ({"draws": 1001}, "draws", "less than or equal to 1000"),
            ({"draws": True}, "draws", "valid integer"),
            ({"draws": math.inf}, "draws", "valid integer"),
        ],
    )  # fmt: skip
    def test_refuses_by_name_what_is_no_noise(
        self, given: dict[str, Any], where: str, why: str
    ) -> None:
        with pytest.raises(ValueError, match="1 validation error") as refused:
            parse({"type": "noise", "epsilon": [0.1], **given})
        (error,) = refused.value.errors()  # type: ignore[attr-defined]
        assert error["loc"] == (where,)
        assert why in error["msg"]
