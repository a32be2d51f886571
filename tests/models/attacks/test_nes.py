"""Natural evolution strategies: the estimate against formula and gradient, and its queries."""

from typing import Any, Final

import pytest
import torch
from torch import Tensor

from models.attacks import ATTACKS
from models.attacks.nes import Nes
from models.objectives import Objective, margin
from models.rng import Rng
from models.threats import ThreatModel
from models.victims import Access, AccessDenied, Cost, Meter, metered
from tests.models.attacks.asked import Asked
from tests.models.attacks.trained import LARGE, clips_of, every_threat, trained
from tests.models.views import LinearView

SMALL: Final[list[dict[str, Any]]] = [{"queries": 30, "samples": 8}]

N = 6


class TestTheFormula:
    @every_threat
    def test_a_step_goes_along_the_estimate_of_the_paper(self, threat: ThreatModel) -> None:
        """ĝ = Σ (f(x + σu) − f(x − σu)) u, with the draws that the clip has."""
        x, y = clips_of(threat.domain, 3)
        x = x.double()
        view = trained(dtype=torch.float64).view(threat.domain)
        radius = threat.radius(x, LARGE[threat.domain, threat.norm]) / 10  # nothing breaks
        right = view.scores(x).argmax(dim=1) == y
        x, y, radius = x[right], y[right], radius[right]
        inner = Asked.of(view, len(x))
        attack = Nes(
            domain=threat.domain, norm=threat.norm, queries=1 + 2 * 7, samples=6, sigma=0.3,
            step=0.25,
        )  # fmt: skip
        attack.run(inner, x, y, radius, Rng(5, range(len(x)), "nes"))
        draws = Rng(5, range(len(x)), "nes")
        for clip in range(len(x)):
            asked = inner.points(clip)
            assert torch.equal(asked[0], x[clip])
        point = x
        for step in range(2):
            total = torch.zeros_like(x)
            for sample in range(3):
                u = draws.normal(x.shape[1:]).double()
                n = x[0].numel()
                sigma = 0.3 * radius / (1 if threat.norm == "linf" else n**0.5)
                change = sigma.view(-1, *[1] * (x.ndim - 1)) * u
                up, down = point + change, point - change
                for clip in range(len(x)):
                    asked = inner.points(clip)[1 + 7 * step + 2 * sample :]
                    torch.testing.assert_close(asked[0], up[clip], rtol=0, atol=1e-9)
                    torch.testing.assert_close(asked[1], down[clip], rtol=0, atol=1e-9)
                rise = margin(view.scores(up), y) - margin(view.scores(down), y)
                total += rise.view(-1, *[1] * (x.ndim - 1)) * u
            norm = total.flatten(1).norm(dim=1).view(-1, *[1] * (x.ndim - 1))
            way = total.sign() if threat.norm == "linf" else total / norm
            point = point + 0.25 * radius.view(-1, *[1] * (x.ndim - 1)) * way
            for clip in range(len(x)):
                asked = inner.points(clip)[7 * (step + 1)]
                torch.testing.assert_close(asked, point[clip], rtol=0, atol=1e-9)

    @pytest.mark.parametrize("norm", ["linf", "l2"])
    def test_many_samples_find_the_gradient(self, norm: Any) -> None:
        """Of a linear model, whose margin falls off nowhere."""
        view, x = LinearView.random(3, 8), torch.zeros(2, 8).double()
        y = view.scores(x).argmax(dim=1)
        radius = torch.full((2,), 1e-3).double()
        objective = Objective(y, "margin")
        attack = Nes(norm=norm, queries=1002, samples=1000, step=1.0)
        found = attack.run(view, x, y, radius, Rng(0, range(2)))
        expected = attack.threat.steepest(view.gradient(x, objective).gradient)
        cosine = torch.nn.functional.cosine_similarity(found - x, expected)
        assert bool((cosine > 0.9).all())


def asked(threat: ThreatModel, **parameters: Any) -> tuple[Asked, Meter, Tensor, Tensor]:
    """A search: what was asked, what was counted, the answer and the labels."""
    attack = Nes(domain=threat.domain, norm=threat.norm, **parameters)
    x, y = clips_of(threat.domain, N)
    inner, meter = Asked.of(trained().view(threat.domain), N), Meter(N, attack.cost(3))
    radius = threat.radius(x, LARGE[threat.domain, threat.norm])
    view = metered(inner, meter, attack.needs, N)
    (crafted,) = attack.craft(view, x, y, [radius], Rng(0, range(N)))
    return inner, meter, crafted.x, y


class TestQueries:
    @pytest.mark.parametrize(
        ("budget", "samples", "spent"), [(4, 2, 4), (37, 8, 37), (45, 8, 37), (46, 8, 46)]
    )
    @every_threat
    def test_sent_are_queries_reported_and_within_the_budget(
        self, threat: ThreatModel, budget: int, samples: int, spent: int
    ) -> None:
        inner, meter, found, y = asked(threat, queries=budget, samples=samples)
        broken = trained().view(threat.domain).scores(found).argmax(dim=1) != y
        for clip, cost in enumerate(meter.costs()):
            assert cost == Cost(forwards=cost.queries, queries=cost.queries)
            assert cost.queries == len(inner.queries[clip]) <= spent <= budget
            assert cost.queries == spent or bool(broken[clip])
        attack = Nes(queries=budget, samples=samples)
        assert attack.run_cost(3) == Cost(forwards=spent, queries=spent)

    def test_that_are_too_few_for_a_step_are_refused(self) -> None:
        for budget in (0, 1, 51):
            with pytest.raises(ValueError, match="queries"):
                ATTACKS.parse({"type": "nes", "queries": budget})
        assert Nes(queries=52).steps == 1

    def test_samples_come_in_pairs(self) -> None:
        with pytest.raises(ValueError, match="samples"):
            ATTACKS.parse({"type": "nes", "samples": 5})

    def test_need_scores(self) -> None:
        x, y = clips_of("features")
        view = metered(trained().view("features"), Meter(4), Access.LABELS, 4)
        with pytest.raises(AccessDenied):
            Nes().run(view, x, y, torch.full((4,), 0.1), Rng(0, range(4)))


class TestSuccess:
    @every_threat
    def test_it_raises_the_margin(self, threat: ThreatModel) -> None:
        inner, _, found, y = asked(threat, queries=103, samples=16)
        view = trained().view(threat.domain)
        clean = torch.stack([inner.queries[clip][0] for clip in range(N)])
        before, after = margin(view.scores(clean), y), margin(view.scores(found), y)
        assert bool((after >= before).all())
        assert float((after - before).mean()) > 0.1


class TestWhatIsMissing:
    def test_scores_that_are_not_numbers_give_no_number_and_harm_no_other_clip(self) -> None:
        class Broken(LinearView):
            def scores(self, x: Tensor) -> Tensor:
                logits = super().scores(x)
                return logits.masked_fill(x[:, :1].abs() > 5, float("nan"))

        one = LinearView.random(3, 6)
        view = Broken(one.weight, one.bias)
        x = torch.zeros(3, 6).double()
        x[1, 0] = 9
        y = one.scores(x).argmax(dim=1)
        attack = Nes(queries=30, samples=4)
        found = attack.run(view, x, y, torch.full((3,), 0.01).double(), Rng(0, range(3)))
        assert found.isnan().all(dim=1).tolist() == [False, True, False]
        assert bool((found[[0, 2]] != x[[0, 2]]).any())
