"""Threat models: the size of a ball, its nearest, its steepest and its random points."""

import math
from itertools import pairwise
from typing import get_args

import numpy as np
import pytest
import torch
from torch import Tensor

from models.rng import Rng
from models.threats import MEASURES, Domain, Norm, ThreatModel, expand, vector_norm

LINF, L2 = ThreatModel("features", "linf"), ThreatModel("features", "l2")
WAVE, SNR = ThreatModel("waveform", "linf"), ThreatModel("waveform", "l2")
EVERY = [LINF, L2, WAVE, SNR]
INF, NAN = math.inf, math.nan

every_threat = pytest.mark.parametrize("threat", EVERY, ids=lambda t: f"{t.domain}-{t.norm}")
every_norm = pytest.mark.parametrize("threat", [LINF, L2], ids=lambda t: t.norm)


def noise(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


class TestStrengths:
    def test_every_domain_has_every_norm(self) -> None:
        combinations = {(domain, norm) for domain in get_args(Domain) for norm in get_args(Norm)}
        assert set(MEASURES) == combinations

    def test_count_in_the_unit_of_the_domain(self) -> None:
        assert [(t.strength_name, t.unit) for t in EVERY] == [
            ("epsilon", "sigma"), ("epsilon", "sigma"), ("epsilon", "full_scale"), ("snr_db", "dB"),
        ]  # fmt: skip
        assert SNR.to_dict() == {"domain": "waveform", "norm": "l2", "unit": "dB"}

    def test_a_larger_epsilon_is_harder(self) -> None:
        assert LINF.harder(0.2, 0.1)
        assert not LINF.harder(0.1, 0.2)
        assert not LINF.harder(0.1, 0.1)

    def test_a_smaller_snr_is_harder(self) -> None:
        assert SNR.harder(20, 40)
        assert not SNR.harder(40, 20)
        assert not SNR.harder(40, 40)

    @every_threat
    def test_are_ordered_from_what_allows_least(self, threat: ThreatModel) -> None:
        x = noise(1, 50)
        ordered = sorted([30.0, 60.0, 40.0], key=threat.order)
        radii = [float(threat.radius(x, strength)) for strength in ordered]
        assert radii == sorted(radii)
        assert all(threat.harder(after, before) for before, after in pairwise(ordered))


class TestRadius:
    @pytest.mark.parametrize("threat", [LINF, L2, WAVE], ids=lambda t: f"{t.domain}-{t.norm}")
    def test_is_epsilon_for_every_clip(self, threat: ThreatModel) -> None:
        x = noise(3, 4, 5, dtype=torch.float32)
        radius = threat.radius(x, 0.02)
        assert torch.equal(radius, torch.full((3,), 0.02))

    @pytest.mark.parametrize("db", [0.0, 6.0, 40.0, 120.0])
    def test_of_an_snr_gives_noise_of_that_power(self, db: float) -> None:
        """10 log10 of the quotient of two mean powers, as the textbooks have it."""
        x = 0.1 * noise(2, 1000)
        x[1] *= 7
        change = expand(SNR.radius(x, db), x) * torch.full_like(x, 1000**-0.5)
        ratio = x.square().mean(dim=1) / change.square().mean(dim=1)
        assert (10 * ratio.log10()).tolist() == pytest.approx([db, db], abs=1e-9)

    def test_of_digital_silence_is_zero_and_so_is_every_change(self) -> None:
        silence = torch.zeros(2, 10)
        radius = SNR.radius(silence, 10.0)
        assert radius.tolist() == [0.0, 0.0]
        for x_adv in (torch.ones(2, 10), torch.full((2, 10), INF), torch.full((2, 10), NAN)):
            assert torch.equal(SNR.project(silence, x_adv, radius), silence)
        assert torch.equal(SNR.random_start(silence, radius, Rng(0, [1, 2])), silence)


class TestSize:
    def test_is_the_norm_that_numpy_knows(self) -> None:
        change = noise(3, 4, 5)
        for threat, order in ((LINF, np.inf), (L2, 2), (WAVE, np.inf), (SNR, 2)):
            expected = [np.linalg.norm(clip.flatten().numpy(), order) for clip in change]
            assert threat.size(change).tolist() == pytest.approx(expected, rel=1e-12)

    def test_of_values_whose_squares_no_float32_holds(self) -> None:
        tiny, huge = torch.full((1, 4), 1e-30), torch.full((1, 4), 1e30)
        assert float(vector_norm(tiny)) == pytest.approx(2e-30)
        assert float(vector_norm(huge)) == pytest.approx(2e30)


class TestProject:
    @every_threat
    def test_leaves_what_is_within_the_ball(self, threat: ThreatModel) -> None:
        x = 0.1 * noise(2, 8)
        x_adv = x + 0.001 * noise(2, 8, seed=1)
        torch.testing.assert_close(threat.project(x, x_adv, torch.ones(2).double()), x_adv)

    @every_norm
    def test_no_point_of_the_ball_is_nearer(self, threat: ThreatModel) -> None:
        x, x_adv, radius = noise(1, 6), 3 * noise(1, 6, seed=1), torch.tensor([0.5]).double()
        found = threat.project(x, x_adv, radius)
        assert float(threat.size(found - x)) == pytest.approx(0.5)
        others = x + 0.5 * noise(4000, 6, seed=2)
        inside = others[threat.size(others - x) <= 0.5]
        inside = torch.cat([inside, found + 0.01 * (inside - found)])  # also next to it
        assert len(inside) > 100
        distances = vector_norm(inside - x_adv)
        assert float(distances.min()) >= float(vector_norm(found - x_adv))

    def test_is_to_each_clips_own_ball(self) -> None:
        x, radius = torch.zeros(2, 3), torch.tensor([0.1, 2.0])
        assert LINF.project(x, torch.ones(2, 3), radius)[:, 0].tolist() == [
            pytest.approx(0.1), 1.0,
        ]  # fmt: skip
        sizes = L2.size(L2.project(x, torch.full((2, 3), 5.0), radius))
        assert sizes.tolist() == pytest.approx([0.1, 2.0])

    @every_threat
    def test_what_is_not_a_number_moves_nothing(self, threat: ThreatModel) -> None:
        x = torch.tensor([[0.1, 0.2, 0.3]])
        x_adv = torch.tensor([[NAN, 0.25, 0.3]])
        found = threat.project(x, x_adv, torch.tensor([1.0]))
        torch.testing.assert_close(found, torch.tensor([[0.1, 0.25, 0.3]]))

    def test_an_infinity_moves_by_the_whole_radius(self) -> None:
        x = torch.zeros(1, 4)
        found = LINF.project(x, torch.tensor([[INF, -INF, 0.05, 3.0]]), torch.tensor([0.1]))
        torch.testing.assert_close(found, torch.tensor([[0.1, -0.1, 0.05, 0.1]]))

    def test_infinities_share_the_radius_of_l2_and_leave_nothing_to_what_is_finite(self) -> None:
        """As the nearest point of a ball does where the values grow without end."""
        x, radius = torch.zeros(1, 4), torch.tensor([0.5])
        found = L2.project(x, torch.tensor([[INF, -INF, 5.0, NAN]]), radius)
        grown = L2.project(x.double(), torch.tensor([[1e20, -1e20, 5.0, 0.0]]).double(), radius)
        torch.testing.assert_close(found.double(), grown, atol=1e-7, rtol=0)

    @every_norm
    def test_of_a_clip_knows_nothing_of_those_beside_it(self, threat: ThreatModel) -> None:
        x, x_adv, radius = noise(2, 5), 9 * noise(2, 5, seed=1), torch.tensor([1.0, 1.0]).double()
        alone = threat.project(x[:1], x_adv[:1], radius[:1])
        x_adv[1, 2], x_adv[1, 3] = INF, NAN
        assert torch.equal(threat.project(x, x_adv, radius)[:1], alone)

    @pytest.mark.parametrize("size", [1e30, 3e38])
    @every_norm
    def test_of_values_whose_squares_are_infinite_is_on_the_ball(
        self, threat: ThreatModel, size: float
    ) -> None:
        x_adv = torch.full((1, 400), size)
        found = threat.project(torch.zeros(1, 400), x_adv, torch.tensor([0.5]))
        assert float(threat.size(found)) == pytest.approx(0.5, rel=1e-6)
        assert float(found.min()) == float(found.max()) > 0

    @pytest.mark.parametrize("loud", [1.0, 1e3, 1e6])
    @every_norm
    def test_holds_the_budget_up_to_the_rounding_of_x(
        self, threat: ThreatModel, loud: float
    ) -> None:
        x = loud * noise(4, 300, dtype=torch.float32)
        radius = torch.full((4,), 0.02)
        found = threat.project(x, x + 100 * noise(4, 300, seed=1, dtype=torch.float32), radius)
        change = found.double() - x.double()
        if threat is LINF:
            rounding = torch.finfo(torch.float32).eps * found.abs().double()
            assert bool((change.abs() <= 0.02 + rounding).all())
        else:
            rounding = torch.finfo(torch.float32).eps * vector_norm(found.double())
            assert bool((threat.size(change) <= 0.02 + rounding).all())

    @every_norm
    def test_radius_zero_gives_an_equal_copy(self, threat: ThreatModel) -> None:
        x = noise(2, 4, dtype=torch.float32)
        found = threat.project(x, x + 5, torch.zeros(2))
        assert torch.equal(found, x)
        assert found.data_ptr() != x.data_ptr()


class TestNearest:
    @every_norm
    def test_is_the_projection_and_hides_no_nan(self, threat: ThreatModel) -> None:
        x, point, radius = noise(2, 5), 3 * noise(2, 5, seed=1), torch.ones(2).double()
        assert torch.equal(threat.nearest(x, point, radius), threat.project(x, point, radius))
        point[0, 1] = NAN
        found = threat.nearest(x, point, radius)
        assert bool(found[0, 1].isnan())
        assert not bool(found[1].isnan().any())


class TestBox:
    def test_a_recording_stays_in_full_scale(self) -> None:
        x = torch.tensor([[0.95, -0.95, 0.0]])
        found = WAVE.project(x, torch.tensor([[1.2, -1.2, 0.3]]), torch.tensor([0.1]))
        torch.testing.assert_close(found, torch.tensor([[1.0, -1.0, 0.1]]))

    def test_a_sample_beyond_full_scale_may_stay_and_come_back_but_go_no_further(self) -> None:
        """Resampling overshoots; a clamp to [−1, 1] alone would move it by .131, whatever ε."""
        x = torch.tensor([[1.131, 1.131, -1.131]])
        found = WAVE.project(x, torch.tensor([[2.0, 0.0, -1.2]]), torch.tensor([0.01]))
        torch.testing.assert_close(found, torch.tensor([[1.131, 1.121, -1.131]]))

    @pytest.mark.parametrize("threat", [WAVE, SNR], ids=lambda t: t.norm)
    def test_never_takes_a_change_out_of_its_ball(self, threat: ThreatModel) -> None:
        x = 1.5 * noise(4, 200).clamp(-1, 1)
        radius = threat.radius(x, 0.1)
        found = threat.project(x, x + noise(4, 200, seed=1), radius)
        assert bool((threat.size(found - x) <= radius * (1 + 1e-9)).all())
        assert bool((found.abs() <= x.abs().clamp_min(1)).all())

    def test_log_mels_have_none(self) -> None:
        x = torch.tensor([[9.0, -9.0]])
        found = LINF.project(x, torch.tensor([[20.0, -20.0]]), torch.tensor([1.0]))
        assert found.tolist() == [[10.0, -10.0]]


class TestSteepest:
    def test_is_the_sign_in_linf(self) -> None:
        gradient = torch.tensor([[3.0, -1e-40, 0.0, -INF]])
        assert LINF.steepest(gradient).tolist() == [[1.0, -1.0, 0.0, -1.0]]

    def test_is_the_gradient_at_length_one_in_l2(self) -> None:
        gradient = torch.tensor([[3.0, 4.0], [0.0, -2.0]])
        torch.testing.assert_close(L2.steepest(gradient), torch.tensor([[0.6, 0.8], [0.0, -1.0]]))

    @every_norm
    def test_no_change_of_the_same_size_gains_more(self, threat: ThreatModel) -> None:
        gradient = noise(1, 6)
        found = threat.steepest(gradient)
        assert float(threat.size(found)) == pytest.approx(1)
        others = noise(4000, 6, seed=1)
        others = others / expand(threat.size(others), others)
        assert float((others @ gradient[0]).max()) < float((found @ gradient[0]).max())

    @every_norm
    def test_of_a_zero_gradient_is_zero(self, threat: ThreatModel) -> None:
        assert threat.steepest(torch.zeros(2, 3)).tolist() == [[0.0] * 3] * 2

    @pytest.mark.parametrize("size", [1e-44, 1e-30, 1e-20, 1e30, 1e38])
    def test_of_a_gradient_whose_square_no_float32_holds_has_length_one(self, size: float) -> None:
        """A saturated softmax has such: it must neither be lost nor become a giant step."""
        gradient = torch.tensor([[size, -size, 0.0]])
        expected = torch.tensor([[0.5**0.5, -(0.5**0.5), 0.0]])
        torch.testing.assert_close(L2.steepest(gradient), expected)

    def test_is_nan_where_the_gradient_is(self) -> None:
        gradient = torch.tensor([[NAN, 1.0], [1.0, 1.0]])
        assert LINF.steepest(gradient).isnan().tolist() == [[True, False], [False, False]]
        assert L2.steepest(gradient).isnan().tolist() == [[True, True], [False, False]]


class TestRandomStart:
    def test_fills_the_ball_of_linf_evenly(self) -> None:
        x = noise(16, 64, 64)
        change = LINF.random_start(x, torch.full((16,), 0.1).double(), Rng(0, range(16))) - x
        assert float(change.mean()) == pytest.approx(0, abs=1e-3)
        assert float(change.std()) == pytest.approx(0.2 / 12**0.5, rel=0.01)
        assert float(change.abs().max()) <= 0.1 + 1e-12

    def test_has_in_l2_any_direction_and_any_length(self) -> None:
        x = noise(2000, 3)
        change = L2.random_start(x, torch.full((2000,), 0.1).double(), Rng(0, range(2000))) - x
        lengths = L2.size(change)
        assert float(lengths.max()) <= 0.1 + 1e-12
        assert float(lengths.mean()) == pytest.approx(0.05, rel=0.05)
        assert float(lengths.std()) == pytest.approx(0.1 / 12**0.5, rel=0.05)
        directions = change / expand(lengths, change)
        assert directions.mean(dim=0).abs().max() < 0.05
        torch.testing.assert_close(  # no direction is preferred: E[d dᵀ] = 1 / 3
            directions.T @ directions / 2000, torch.eye(3).double() / 3, atol=0.03, rtol=0
        )

    @every_threat
    def test_is_the_same_for_a_clip_in_any_batch(self, threat: ThreatModel) -> None:
        x, radius = 0.1 * noise(3, 20), torch.full((3,), 0.05).double()
        together = threat.random_start(x, radius, Rng(1, [4, 5, 6]))
        alone = threat.random_start(x[2:], radius[2:], Rng(1, [6]))
        torch.testing.assert_close(together[2:], alone, rtol=0, atol=1e-15)

    def test_of_a_recording_stays_in_its_box(self) -> None:
        x = torch.full((1, 1000), 0.99)
        start = WAVE.random_start(x, torch.tensor([0.1]), Rng(0, [1]))
        assert 0.88 < float(start.min()) < 0.9
        assert float(start.max()) == 1
