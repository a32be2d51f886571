"""Square Attack: what it tries against Algorithms 2 and 3 of its paper, and what it may ask."""

import math
from typing import Any, Final

import pytest
import torch
from torch import Tensor, nn

from models.attacks import ATTACKS
from models.attacks.noise import Noise
from models.attacks.square import Square
from models.attacks.windows import bumps, window_size
from models.objectives import margin
from models.rng import Rng
from models.threats import ThreatModel
from models.victims import Access, AccessDenied, BudgetExceeded, Cost, Meter, metered
from tests.models.attacks.asked import Asked
from tests.models.attacks.trained import LARGE, STRENGTHS, clips_of, every_threat, trained
from tests.models.views import NetView

SMALL: Final[list[dict[str, Any]]] = [{"queries": 12}]

N = 12


def asked(threat: ThreatModel, **parameters: Any) -> tuple[Asked, Meter, Tensor, Tensor, Tensor]:
    """A search on clips that the model knows: what was asked, counted; x, y and the answer."""
    attack = Square(domain=threat.domain, norm=threat.norm, **parameters)
    x, y = clips_of(threat.domain, N)
    inner = Asked.of(trained().view(threat.domain), N)
    meter = Meter(N, attack.cost(3))
    radius = threat.radius(x, STRENGTHS[threat.domain, threat.norm])
    view = metered(inner, meter, attack.needs, N)
    (crafted,) = attack.craft(view, x, y, [radius], Rng(0, range(N)))
    return inner, meter, x, y, crafted.x


def images(change: Tensor) -> Tensor:
    """(queries, time, bands)."""
    return change if change.ndim == 3 else change[:, :, None]


def bounds(moved: Tensor) -> tuple[int, int, int, int]:
    """Of what is not zero in (time, bands): the first and last step, the first and last band."""
    rows = moved.any(dim=1).nonzero().flatten().tolist()
    columns = moved.any(dim=0).nonzero().flatten().tolist()
    return rows[0], rows[-1], columns[0], columns[-1]


class TestQueries:
    @pytest.mark.parametrize("budget", [1, 2, 3, 40])
    @every_threat
    def test_sent_are_queries_reported_and_within_the_budget(
        self, threat: ThreatModel, budget: int
    ) -> None:
        inner, meter, *_ = asked(threat, queries=budget)
        for clip, cost in enumerate(meter.costs()):
            assert cost == Cost(forwards=cost.queries, queries=cost.queries)
            assert cost.queries == len(inner.queries[clip]) <= budget

    @every_threat
    def test_end_for_a_clip_that_is_broken_and_for_no_other(self, threat: ThreatModel) -> None:
        inner, meter, _, y, found = asked(threat, queries=40)
        view = trained().view(threat.domain)
        broken = (view.scores(found).argmax(dim=1) != y).tolist()
        assert 0 < sum(broken) < N
        for clip, cost in enumerate(meter.costs()):
            margins = margin(view.scores(inner.points(clip)), y[clip].expand(cost.queries))
            assert bool((margins[1:-1] <= margins[0].clamp_min(0)).all())
            assert (cost.queries < 40) or not broken[clip] or bool(margins[-1] > 0)
            assert broken[clip] or cost.queries == 40

    @every_threat
    def test_the_best_answer_is_kept(self, threat: ThreatModel) -> None:
        inner, _, _, y, found = asked(threat, queries=40)
        view = trained().view(threat.domain)
        for clip in range(N):
            points = inner.points(clip)[1:]
            best = margin(view.scores(points), y[clip].expand(len(points))).argmax()
            torch.testing.assert_close(found[clip], points[best], rtol=0, atol=1e-6)

    def test_that_are_none_are_refused(self) -> None:
        with pytest.raises(ValueError, match="queries"):
            ATTACKS.parse({"type": "square", "queries": 0})


class TestTheMeter:
    def run(self, attack: Square, access: Access) -> None:
        x, y = clips_of("features")
        meter = Meter(4, attack.cost(3))
        view = metered(trained().view("features"), meter, access, 4)
        attack.run(view, x, y, torch.full((4,), 1e-6), Rng(0, range(4)))

    def test_stops_a_search_that_had_said_less(self) -> None:
        class Understated(Square):
            def run_cost(self, n_classes: int) -> Cost:
                return Cost(forwards=self.queries, queries=self.queries - 1)

        with pytest.raises(BudgetExceeded):
            self.run(Understated(queries=10), Access.SCORES)
        self.run(Square(queries=10), Access.SCORES)

    def test_lets_it_see_no_scores_where_only_labels_are_given(self) -> None:
        with pytest.raises(AccessDenied):
            self.run(Square(queries=10), Access.LABELS)


class TestTheSchedule:
    def test_halves_the_share_as_in_the_paper(self) -> None:
        """p at 10,000 iterations: halved after 10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000."""
        attack = Square(queries=10_000, p_init=0.8)
        for iteration, halvings in [
            (0, 0), (10, 0), (11, 1), (50, 1), (51, 2), (200, 2), (201, 3), (500, 3), (501, 4),
            (1000, 4), (1001, 5), (2000, 5), (2001, 6), (4000, 6), (4001, 7), (6000, 7), (6001, 8),
            (8000, 8), (8001, 9), (9999, 9),
        ]:  # fmt: skip
            assert attack.share(iteration) == 0.8 / 2**halvings

    def test_is_rescaled_to_the_budget(self) -> None:
        short, whole = Square(queries=500), Square(queries=10_000)
        assert [short.share(i) for i in range(500)] == [whole.share(20 * i) for i in range(500)]


class TestTheWindow:
    @pytest.mark.parametrize(
        ("share", "height", "width", "expected"),
        [
            (0.25, 64, 64, (32, 32)),
            (0.01, 373, 64, (15, 15)),  # √238.7
            (0.8, 373, 64, (298, 64)),  # no square of that area has room: all bands
            (0.8, 64, 373, (64, 298)),
            (0.1, 32_000, 1, (3200, 1)),
            (1e-9, 373, 64, (1, 1)),
            (1.0, 373, 64, (373, 64)),
        ],
    )
    def test_is_a_square_of_its_share_where_there_is_room(
        self, share: float, height: int, width: int, expected: tuple[int, int]
    ) -> None:
        assert window_size(share, height, width, 1) == expected

    def test_in_l2_has_sides_of_three_at_least(self) -> None:
        assert window_size(1e-9, 373, 64, 3) == (3, 3)
        assert window_size(1e-9, 32_000, 1, 3) == (3, 1)


class TestLinf:
    @pytest.mark.parametrize("domain", ["features", "waveform"])
    def test_the_start_is_stripes_in_time(self, domain: Any) -> None:
        threat = ThreatModel(domain, "linf")
        inner, _, x, _, _ = asked(threat, queries=2)
        for clip in range(N):
            change = images(inner.points(clip) - x[clip])
            assert bool((change[0] == 0).all())  # the first query is the clip
            signs = change[1] / STRENGTHS[domain, "linf"]
            torch.testing.assert_close(signs.abs(), torch.ones_like(signs), rtol=0, atol=1e-4)
            assert bool((signs.sign() == signs.sign()[:, :1]).all())
            assert 0.25 < float((signs[:, 0] > 0).float().mean()) < 0.75

    def test_each_query_turns_a_square_of_log_mels_to_one_side(self) -> None:
        for change, before, size in self.steps(ThreatModel("features", "linf")):
            moved = (change - before).abs() > 1e-4
            assert bool(moved.any())
            top, bottom, left, right = bounds(moved)
            assert bottom - top < size[0]
            assert right - left < size[1]
            assert abs(float(change[moved].sign().mean())) == 1

    def test_each_query_gives_a_segment_of_sound_a_tone(self) -> None:
        pitches = []
        for change, before, size in self.steps(ThreatModel("waveform", "linf")):
            top, bottom, *_ = bounds((change - before).abs() > 1e-6)
            assert bottom - top < size[0]
            wave = change[top : bottom + 1, 0].sign()
            pitches.append(float((wave[1:] != wave[:-1]).float().mean()))
        assert max(pitches) > 0.5  # half a crossing a sample is a quarter of the sample rate
        assert min(pitches) < 0.2

    def steps(self, threat: ThreatModel) -> list[tuple[Tensor, Tensor, tuple[int, int]]]:
        """Each change that was tried, the best before it, and the size of the window."""
        attack = Square(domain=threat.domain, queries=20, p_init=0.3)
        inner, _, x, y, _ = asked(threat, queries=20, p_init=0.3)
        view, found = trained().view(threat.domain), []
        for clip in range(N):
            points = inner.points(clip)
            changes = images(points - x[clip])
            margins = margin(view.scores(points), y[clip].expand(len(points)))
            for query in range(2, len(points)):
                best = changes[1 + int(margins[1:query].argmax())]
                share = attack.share(query - 2)
                size = window_size(share, changes.shape[1], changes.shape[2], 1)
                found.append((changes[query], best, size))
        assert len(found) > 40
        return found


class TestL2:
    @pytest.mark.parametrize("domain", ["features", "waveform"])
    def test_each_query_spends_the_whole_radius(self, domain: Any) -> None:
        threat = ThreatModel(domain, "l2")
        inner, _, x, _, _ = asked(threat, queries=20)
        radius = threat.radius(x, STRENGTHS[domain, "l2"])
        for clip in range(N):
            norms = (inner.points(clip) - x[clip]).flatten(1).norm(dim=1)
            expected = radius[clip].expand(len(norms) - 1)
            torch.testing.assert_close(norms[1:], expected, rtol=1e-3, atol=0)

    def test_each_query_changes_two_windows_at_most(self) -> None:
        threat = ThreatModel("features", "l2")
        inner, _, _, y, _ = asked(threat, queries=20, p_init=0.05)
        view = trained().view("features")
        rows, columns = window_size(0.05, 32, 64, 3)
        for clip in range(N):
            points = inner.points(clip)
            margins = margin(view.scores(points), y[clip].expand(len(points)))
            for query in range(2, len(points)):
                best = points[1 + int(margins[1:query].argmax())]
                moved = (points[query] - best).abs() > 1e-5
                assert 0 < int(moved.sum()) <= 2 * rows * columns

    @pytest.mark.parametrize(("rows", "columns"), [(4, 7), (7, 4), (9, 9), (30, 5)])
    def test_the_bumps_are_those_of_the_paper(self, rows: int, columns: int) -> None:
        """Eq. 2: rectangles around the middle, one in another, the m-th of height 1 / m²."""

        def bump(height: int, width: int) -> Tensor:
            total = torch.zeros(height, width)
            for m in range(1, max(height // 2, width // 2) + 2):
                down = slice(max(0, height // 2 - m + 1), height // 2 + m)
                across = slice(max(0, width // 2 - m + 1), width // 2 + m)
                total[down, across] += 1 / m**2
            return total / total.square().sum().sqrt()

        half, side = rows // 2, columns // 2
        one = torch.cat([bump(half, columns), -bump(rows - half, columns)])
        other = torch.cat([bump(side, rows), -bump(columns - side, rows)]).T
        drawn = bumps(rows, columns, Rng(0, range(20)))
        kinds = [
            [
                bool(torch.allclose(each, kind / math.sqrt(2), atol=1e-6))
                for kind in (one, other)
            ]
            for each in drawn
        ]  # fmt: skip
        assert all(any(kind) for kind in kinds)
        assert {tuple(kind) for kind in kinds} >= {(True, False), (False, True)}


class TestSuccess:
    @every_threat
    def test_it_comes_nearer_to_an_error_than_as_many_draws_of_noise(
        self, threat: ThreatModel
    ) -> None:
        x, y = clips_of(threat.domain, N)
        view = trained().view(threat.domain)
        radius = threat.radius(x, LARGE[threat.domain, threat.norm])
        where: Any = {"domain": threat.domain, "norm": threat.norm}
        means = []
        for attack in (Square(**where, queries=80), Noise(**where, draws=80)):
            found = attack.run(view, x, y, radius, Rng(0, range(len(x))))
            means.append(float(margin(view.scores(found), y).clamp_max(0).mean()))
        assert means[0] > means[1]


class Blind(nn.Module):
    """Its scores say something, and its gradient is zero."""

    def forward(self, x: Tensor) -> Tensor:
        mean = x.detach().flatten(1).mean(dim=1)
        return torch.stack([0.02 + 0 * mean, mean, -mean], dim=1) + 0 * x.sum()


class TestWhatIsMissing:
    def test_a_gradient_is_not_needed(self) -> None:
        x, y = torch.zeros(4, 8, 8), torch.zeros(4, dtype=torch.int64)
        view = NetView(Blind())
        found = Square(queries=100).run(view, x, y, torch.full((4,), 0.1), Rng(0, range(4)))
        assert bool((view.scores(found).argmax(dim=1) != 0).all())

    @every_threat
    def test_where_all_points_score_the_same_nothing_moves(self, threat: ThreatModel) -> None:
        class Same(nn.Module):
            def forward(self, x: Tensor) -> Tensor:
                return torch.tensor([0.0, 1.0, 0.5]).expand(len(x), 3)

        x, y = clips_of(threat.domain)
        attack = Square(domain=threat.domain, norm=threat.norm, queries=20)
        view = NetView(Same(), 3, threat.domain)
        assert torch.equal(attack.run(view, x, y, torch.full((4,), 0.1), Rng(0, range(4))), x)

    def test_scores_that_are_not_numbers_give_no_number_and_harm_no_other_clip(self) -> None:
        class SomeNumbers(nn.Module):
            def forward(self, x: Tensor) -> Tensor:
                flat = x.flatten(1)
                return flat[:, :3] + torch.where(flat[:, :1] == 0, float("nan"), 0.0)

        x = torch.ones(3, 4, 4)
        x[1] = 0
        view = NetView(SomeNumbers())
        found = Square(queries=30).run(
            view, x, torch.tensor([0, 0, 0]), torch.full((3,), 0.1), Rng(0, range(3))
        )
        assert found.flatten(1).isnan().all(dim=1).tolist() == [False, True, False]
        assert bool((found[[0, 2]] != x[[0, 2]]).any())
