"""What is scored of an adversarial waveform: a 16-bit file, within its budget."""

import io
from typing import Literal

import pytest
import soundfile
import torch
from torch import Tensor

from models.audio import encode_wav
from models.budget import as_file, within_budget
from models.threats import ThreatModel

STEP = 1 / 32_768
LINF, L2 = ThreatModel("waveform", "linf"), ThreatModel("waveform", "l2")


def speech(clips: int = 3, samples: int = 4000, loud: float = 0.1, *, bits: bool = True) -> Tensor:
    """Noise; in 16 bits, or with what lies between the steps."""
    generator = torch.Generator().manual_seed(5)
    x = loud * torch.randn(clips, samples, generator=generator).clamp(-3, 3)
    return (x / STEP).round() * STEP if bits else x


def noise_like(x: Tensor, seed: int = 6) -> Tensor:
    return torch.randn(x.shape, generator=torch.Generator().manual_seed(seed))


def snr(x: Tensor, heard: Tensor) -> Tensor:
    change = (heard.double() - x.double()).square().sum(dim=1)
    return 10 * torch.log10(x.double().square().sum(dim=1) / change)


class TestFile:
    @pytest.mark.parametrize("threat", [LINF, L2], ids=["linf", "l2"])
    def test_is_what_a_reader_of_it_hears(self, threat: ThreatModel) -> None:
        x = speech(bits=False)
        radius = torch.full((3,), 10.0)  # of no concern
        found = as_file(threat, x, x, radius)
        for sound, heard in zip(x, found, strict=True):
            content = encode_wav(sound.numpy(), encoding="pcm16")
            read, rate = soundfile.read(io.BytesIO(content), dtype="float32")
            assert rate == 16_000
            assert torch.equal(heard, torch.from_numpy(read))

    @pytest.mark.parametrize("threat", [LINF, L2], ids=["linf", "l2"])
    def test_of_a_clip_knows_nothing_of_those_beside_it(self, threat: ThreatModel) -> None:
        x = speech()
        radius = threat.radius(x, 30.0) if threat == L2 else torch.full((3,), 3 * STEP)
        x_adv = threat.project(x, x + noise_like(x), radius)
        together = as_file(threat, x, x_adv, radius)
        for row in range(3):
            only = slice(row, row + 1)
            alone = as_file(threat, x[only], x_adv[only], radius[only])
            assert torch.equal(alone, together[only])

    def test_leaves_what_it_is_given(self) -> None:
        x = speech(bits=False)
        x_adv, radius = x + 1e-3 * noise_like(x), torch.full((3,), 1e-2)
        held = [one.clone() for one in (x, x_adv, radius)]
        as_file(LINF, x, x_adv, radius)
        as_file(L2, x, x_adv, radius)
        assert all(map(torch.equal, (x, x_adv, radius), held))

    def test_is_of_the_type_and_on_the_device_of_the_clip(self, device: torch.device) -> None:
        x = speech().to(device)
        found = as_file(LINF, x, x, torch.zeros(3, device=device))
        assert (found.dtype, found.device) == (x.dtype, x.device)


class TestLinf:
    @pytest.mark.parametrize("steps", [0.0, 0.4, 1.0, 3.0, 3.28, 32.7, 327.0])
    def test_of_a_16_bit_clip_is_never_left(self, steps: float) -> None:
        x, radius = speech(), torch.full((3,), steps * STEP)
        x_adv = LINF.project(x, x + noise_like(x), radius)
        moved = (as_file(LINF, x, x_adv, radius) - x).abs() / STEP
        assert float(moved.max()) == int(steps)  # the most whole steps that it allows

    @pytest.mark.parametrize("steps", [0.0, 0.2, 0.7, 3.28])
    def test_of_any_other_is_left_by_its_own_rounding_at_most(self, steps: float) -> None:
        x, radius = speech(bits=False), torch.full((3,), steps * STEP)
        x_adv = LINF.project(x, x + noise_like(x), radius)
        moved = (as_file(LINF, x, x_adv, radius) - x).abs() / STEP
        assert float(moved.max()) <= max(steps, 0.5) + 1e-3

    def test_the_nearest_step_within_it_is_taken(self) -> None:
        x = torch.tensor([[0.0, 0.0, 0.0, 0.3, 0.3]]) * STEP
        wanted = torch.tensor([[1.4, 1.6, -2.0, 0.8, 2.1]]) * STEP
        found = as_file(LINF, x, wanted, torch.tensor([2.0 * STEP]))
        assert (found / STEP).tolist() == [[1, 2, -2, 1, 2]]
        found = as_file(LINF, x, wanted.clamp(-STEP, STEP), torch.tensor([0.9 * STEP]))
        assert (found / STEP).tolist() == [[0, 0, 0, 1, 1]]


class TestL2:
    @pytest.mark.parametrize("db", [90.0, 80.0, 60.0, 40.0, 20.0, 0.0])
    def test_of_a_16_bit_clip_is_never_left(self, db: float) -> None:
        x = speech()
        radius = L2.radius(x, db)
        x_adv = L2.project(x, x + noise_like(x), radius)
        assert bool((snr(x, as_file(L2, x, x_adv, radius)) >= db - 1e-4).all())

    @pytest.mark.parametrize("db", [50.0, 30.0, 10.0])
    def test_is_used_to_a_thousandth_of_a_decibel(self, db: float) -> None:
        x = speech(bits=False)
        radius = L2.radius(x, db)
        x_adv = L2.project(x, x + noise_like(x), radius)
        found = snr(x, as_file(L2, x, x_adv, radius))
        torch.testing.assert_close(found, torch.full_like(found, db), rtol=0, atol=0.001)

    def test_is_used_by_as_many_samples_as_it_allows(self) -> None:
        """A change of .9 steps in each of a thousand samples: 810 of one step are as large."""
        x, wanted = torch.zeros(1, 1000), torch.full((1, 1000), 0.9 * STEP)
        found = as_file(L2, x, wanted, torch.linalg.vector_norm(wanted, dim=1))
        assert sorted((found / STEP).flatten().tolist()) == [0.0] * 190 + [1.0] * 810

    def test_is_given_to_the_samples_that_are_nearest_to_a_step(self) -> None:
        wanted = torch.tensor([[0.6, 0.9, 0.7, 0.2, 0.8]]) * STEP
        found = as_file(L2, torch.zeros(1, 5), wanted, torch.tensor([2**0.5 * STEP]))
        assert (found / STEP).tolist() == [[0, 1, 0, 0, 1]]

    def test_of_a_clip_between_the_steps_gives_way_to_its_own_rounding(self) -> None:
        x = speech(bits=False)
        radius = L2.radius(x, 110.0)  # less than what rounding does
        x_adv = L2.project(x, x + noise_like(x), radius)
        moved = (as_file(L2, x, x_adv, radius) - x).abs() / STEP
        assert float(moved.max()) <= 0.51

    def test_of_digital_silence_is_silence(self) -> None:
        x = torch.zeros(2, 600)
        assert torch.equal(as_file(L2, x, x, torch.zeros(2)), x)


class TestFullScale:
    def test_a_sample_is_not_pushed_beyond_what_a_file_holds(self) -> None:
        x = torch.tensor([[32_767.0, 32_760.0, -32_768.0]]) * STEP
        found = as_file(LINF, x, x + x.sign() * 20 * STEP, torch.tensor([20 * STEP]))
        assert (found / STEP).tolist() == [[32_767, 32_767, -32_768]]

    @pytest.mark.parametrize("norm", ["linf", "l2"])
    def test_what_a_resampled_clip_overshoots_is_not_clipped(
        self, norm: Literal["linf", "l2"]
    ) -> None:
        threat = ThreatModel("waveform", norm)
        x = speech(bits=False)
        x[:, 7], x[:, 8] = 1.13, -1.07
        radius = torch.full((3,), 1e-3)
        for proposal in (x, x + noise_like(x), x.clamp(-1, 1), torch.zeros_like(x)):
            change = within_budget(threat, x, proposal, radius) - x
            assert float(change.abs().max()) <= 1e-3 + STEP / 2
        kept = within_budget(threat, x, x, radius)
        assert float(kept[0, 7]) == pytest.approx(1.13, abs=STEP)


class TestLogMels:
    def test_are_projected_and_no_more(self) -> None:
        threat = ThreatModel("features", "linf")
        x = speech(2, 6).view(2, 2, 3)
        found = within_budget(threat, x, x + 0.37, torch.tensor([0.1, 0.5]))
        torch.testing.assert_close(found[0], x[0] + 0.1)
        torch.testing.assert_close(found[1], x[1] + 0.37)
