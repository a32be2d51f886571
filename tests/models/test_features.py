"""The front end against scipy and a filter bank written out a second time, in float64."""

import math

import numpy as np
import numpy.typing as npt
import pytest
import torch
import torchaudio
from scipy import signal

from models.features import (
    FRAMES,
    HOP,
    LOWEST_HZ,
    MELS,
    SAMPLE_RATE,
    WINDOW,
    LogMel,
    Standardizer,
    mel_filter_bank,
    tile,
    windows,
)

Array = npt.NDArray[np.float64]

FRAMES_OF_THE_PAPER = 373
SAMPLES_OF_THE_PAPER = 95_744


def noise(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, shape)


def speechlike(samples: int) -> Array:
    """A gliding harmonic tone that fades in and out, over a faint hiss."""
    time = np.arange(samples) / 16_000
    phase = 2 * np.pi * (120 * time + 40 * time**2)
    tone = sum(np.sin(k * phase) / k for k in range(1, 20))
    return np.asarray(0.2 * np.sin(np.pi * time / time[-1]) * tone + 1e-3 * noise(samples))


def slaney_mel(hz: float) -> float:
    """Auditory Toolbox (Slaney 1998): 66.7 Hz a mel up to 1 kHz, then 27 steps to 6.4 kHz."""
    return hz / (200 / 3) if hz < 1000 else 15 + 27 * math.log(hz / 1000) / math.log(6.4)


def slaney_hz(mel: float) -> float:
    return mel * 200 / 3 if mel < 15 else 1000 * 6.4 ** ((mel - 15) / 27)


def filter_bank() -> Array:
    """64 triangles from 20 Hz to 8 kHz over 257 bins, each of area 1 Hz; one loop, no tricks."""
    mels = np.linspace(slaney_mel(20.0), slaney_mel(8000.0), 66)
    corners = [slaney_hz(float(mel)) for mel in mels]
    bank = np.zeros((257, 64))
    for band in range(64):
        left, centre, right = corners[band : band + 3]
        for k in range(257):
            hz = k * 16_000 / 512
            if left < hz <= centre:
                bank[k, band] = (hz - left) / (centre - left)
            elif centre < hz < right:
                bank[k, band] = (right - hz) / (right - centre)
        bank[:, band] *= 2 / (right - left)
    return bank


def reference(waveform: Array) -> Array:
    """ln(mel(|STFT|) + 1e-8) in float64, (frames, 64), by scipy's periodogram."""
    _, _, magnitudes = signal.spectrogram(  # type: ignore[call-overload]  # stubs: no array window
        waveform,
        fs=1.0,
        window=signal.get_window("hamming", 512, fftbins=False),
        noverlap=256,
        detrend=False,
        scaling="density",
        mode="magnitude",
    )
    return np.asarray(np.log(magnitudes.T @ filter_bank() + 1e-8))


def extracted(waveform: Array, device: torch.device) -> Array:
    features = LogMel().to(device)(torch.from_numpy(waveform).float().to(device))
    return np.asarray(features.cpu().double().numpy())


class TestAgainstScipy:
    @pytest.mark.parametrize(
        "waveform", [noise(20_000), speechlike(20_000)], ids=["noise", "speechlike"]
    )
    def test_log_mels_agree_to_1e_5(self, waveform: Array, device: torch.device) -> None:
        ours, theirs = extracted(waveform, device), reference(waveform)
        assert ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)

    def test_mel_magnitudes_agree_to_1e_5_where_no_band_is_buried(
        self, device: torch.device
    ) -> None:
        ours, theirs = extracted(noise(20_000), device), reference(noise(20_000))
        np.testing.assert_allclose(np.exp(ours), np.exp(theirs), rtol=1e-5)

    def test_in_float64_quiet_bands_agree_too(self, device: torch.device) -> None:
        waveform = torch.from_numpy(speechlike(20_000)).to(device)
        ours = LogMel().double().to(device)(waveform).cpu().numpy()
        np.testing.assert_allclose(np.exp(ours), np.exp(reference(speechlike(20_000))), rtol=1e-9)

    def test_a_detour_through_half_precision_costs_nothing(self) -> None:
        plain, detour = LogMel(), LogMel().half().double().float()
        assert detour.window.dtype == torch.float32
        assert torch.equal(detour.window, plain.window)
        assert torch.equal(detour.mel, plain.mel)

    def test_a_long_clip_agrees_in_its_last_frame(self, device: torch.device) -> None:
        waveform = noise(SAMPLES_OF_THE_PAPER + 255)
        np.testing.assert_allclose(
            extracted(waveform, device)[-1], reference(waveform)[-1], rtol=1e-5
        )

    def test_loudness_shifts_the_logarithm(self, device: torch.device) -> None:
        loud, quiet = extracted(noise(1024), device), extracted(noise(1024) / 10, device)
        np.testing.assert_allclose(loud - quiet, math.log(10), atol=1e-4)


class TestWindow:
    def test_is_the_symmetric_hamming_window_scaled_to_unit_energy(self) -> None:
        n = np.arange(512)
        hamming = 0.54 - 0.46 * np.cos(2 * np.pi * n / 511)
        np.testing.assert_allclose(LogMel().window.numpy(), hamming * 0.070172795, rtol=1e-6)

    def test_its_scale_is_that_of_the_method(self) -> None:
        hamming = np.asarray(signal.get_window("hamming", 512, fftbins=False))
        assert 1 / math.sqrt(float((hamming**2).sum())) == pytest.approx(0.070172795, abs=5e-10)
        assert float(LogMel().window.square().sum()) == pytest.approx(1.0, abs=1e-6)

    def test_the_periodic_window_would_not_pass(self, device: torch.device) -> None:
        """The default of torch.hamming_window is off by 4e-3, silently."""
        waveform = noise(20_000)
        periodic = torch.hamming_window(512, dtype=torch.float64)
        symmetric = torch.from_numpy(signal.get_window("hamming", 512, fftbins=False))
        assert float((periodic - symmetric).abs().max()) == pytest.approx(4e-3, rel=0.1)

        front_end = LogMel()
        front_end.window.copy_(periodic / periodic.square().sum().sqrt())
        front_end.to(device)
        mistaken = front_end(torch.from_numpy(waveform).float().to(device)).cpu().double().numpy()
        assert float(np.abs(mistaken - reference(waveform)).max()) > 1e-3


class TestFilterBank:
    def test_equals_the_one_written_out_by_hand(self) -> None:
        np.testing.assert_allclose(mel_filter_bank().numpy(), filter_bank(), rtol=1e-9, atol=1e-15)

    def test_equals_torchaudio(self) -> None:
        theirs = torchaudio.functional.melscale_fbanks(
            257, 20.0, 8000.0, 64, 16_000, norm="slaney", mel_scale="slaney"
        )
        # torchaudio computes it in float32, where corners are differences of near numbers
        torch.testing.assert_close(mel_filter_bank().float(), theirs, rtol=1e-3, atol=1e-7)

    def test_no_band_is_empty_and_nothing_lies_below_20_hz(self) -> None:
        bank = mel_filter_bank()
        assert bool((bank.sum(dim=0) > 0).all())
        assert bool((bank >= 0).all())
        assert bank[0].abs().max() == 0
        assert LOWEST_HZ == 20.0


class TestFrames:
    def test_the_papers_clip_gives_exactly_373(self, device: torch.device) -> None:
        features = LogMel().to(device)(torch.zeros(SAMPLES_OF_THE_PAPER, device=device))
        assert features.shape == (FRAMES_OF_THE_PAPER, 64)
        assert (FRAMES, MELS, WINDOW, HOP, SAMPLE_RATE) == (373, 64, 512, 256, 16_000)

    @pytest.mark.parametrize(
        ("samples", "frames"), [(512, 1), (767, 1), (768, 2), (95_743, 372), (95_999, 373)]
    )
    def test_nothing_is_centred_or_padded(self, samples: int, frames: int) -> None:
        assert LogMel()(torch.zeros(samples)).shape == (frames, 64)

    @pytest.mark.parametrize("samples", [0, 1, 511])
    def test_less_than_a_window_is_refused_with_its_length(self, samples: int) -> None:
        with pytest.raises(ValueError, match=f"{samples} samples .* at least 512"):
            LogMel()(torch.zeros(samples))

    def test_silence_is_the_floor(self, device: torch.device) -> None:
        features = LogMel().to(device)(torch.zeros(2048, device=device))
        torch.testing.assert_close(features, torch.full_like(features, math.log(1e-8)))

    def test_a_batch_gives_what_each_clip_gives_alone(self, device: torch.device) -> None:
        waveforms = torch.from_numpy(noise(2, 3, 4000)).float().to(device)
        front_end = LogMel().to(device)
        together = front_end(waveforms)
        assert together.shape == (2, 3, 14, 64)
        for i in range(2):
            for j in range(3):
                torch.testing.assert_close(
                    together[i, j], front_end(waveforms[i, j]), rtol=0, atol=2e-6
                )


class TestGradient:
    def test_from_the_waveform_on(self, device: torch.device) -> None:
        waveform = torch.from_numpy(noise(1100)).to(device).requires_grad_(True)
        assert torch.autograd.gradcheck(LogMel().double().to(device), waveform, fast_mode=True)

    def test_through_the_whole_front_end(self, device: torch.device) -> None:
        waveform = torch.from_numpy(noise(2, 800)).to(device).requires_grad_(True)
        front_end = LogMel().double().to(device)
        standardizer = Standardizer(
            torch.linspace(-9, -5, 64, dtype=torch.float64),
            torch.linspace(1, 3, 64, dtype=torch.float64),
        ).to(device)
        assert torch.autograd.gradcheck(
            lambda samples: standardizer(tile(front_end(samples), 5)), waveform, fast_mode=True
        )

    def test_is_finite_on_silence(self, device: torch.device) -> None:
        waveform = torch.zeros(1024, device=device, requires_grad=True)
        (gradient,) = torch.autograd.grad(LogMel().to(device)(waveform).sum(), waveform)
        assert bool(torch.isfinite(gradient).all())


class TestTile:
    def test_a_short_clip_is_repeated_from_its_start(self) -> None:
        clip = torch.arange(3.0)[:, None].expand(3, 2)
        assert tile(clip, 8)[:, 0].tolist() == [0, 1, 2, 0, 1, 2, 0, 1]

    def test_a_long_clip_is_cut(self) -> None:
        clip = torch.arange(9.0)[:, None]
        assert tile(clip, 4)[:, 0].tolist() == [0, 1, 2, 3]

    def test_a_fitting_clip_stays(self) -> None:
        clip = torch.randn(FRAMES, 64)
        assert torch.equal(tile(clip), clip)

    @pytest.mark.parametrize("n", [1, 2, 372, 374])
    def test_never_pads_with_zeros(self, n: int) -> None:
        clip = 1 + torch.rand(2, n, 3)
        tiled = tile(clip)
        assert tiled.shape == (2, FRAMES, 3)
        assert bool((tiled >= 1).all())

    def test_nothing_cannot_be_repeated(self) -> None:
        with pytest.raises(ValueError, match="without frames"):
            tile(torch.zeros(0, 64), 5)


class TestWindows:
    def starts(self, n: int, frames: int) -> list[int]:
        clip = torch.arange(float(n))[:, None]
        cut = windows(clip, frames)
        assert cut.shape[1:] == (frames, 1)
        for window in cut[:, :, 0]:
            assert torch.equal(window.diff(), torch.ones(frames - 1))
        return [int(start) for start in cut[:, 0, 0]]

    def test_overlap_by_half_and_end_with_the_clip(self) -> None:
        assert self.starts(16, 8) == [0, 4, 8]
        assert self.starts(17, 8) == [0, 4, 8, 9]

    def test_one_frame_more_gives_a_second_window(self) -> None:
        assert self.starts(9, 8) == [0, 1]

    def test_every_frame_is_seen(self) -> None:
        for n in range(8, 40):
            starts = self.starts(n, 8)
            seen = {frame for start in starts for frame in range(start, start + 8)}
            assert seen == set(range(n))
            assert len(set(starts)) == len(starts)

    def test_a_clip_that_fits_gives_one_tiled(self) -> None:
        clip = torch.randn(5, 64)
        assert torch.equal(windows(clip, 8), tile(clip, 8).unsqueeze(0))
        assert windows(torch.randn(8, 64), 8).shape == (1, 8, 64)


class TestStandardizer:
    MEAN = torch.tensor([1.0, -2.0])
    STD = torch.tensor([2.0, 0.5])

    def test_counts_standard_deviations_of_each_band(self, device: torch.device) -> None:
        standardizer = Standardizer(self.MEAN, self.STD).to(device)
        features = torch.tensor([[5.0, -2.5], [1.0, -2.0]], device=device)
        expected = torch.tensor([[2.0, -1.0], [0.0, 0.0]], device=device)
        assert torch.equal(standardizer(features), expected)

    def test_can_be_undone(self, device: torch.device) -> None:
        standardizer = Standardizer(self.MEAN, self.STD).to(device)
        features = torch.randn(7, 3, 2, device=device)
        torch.testing.assert_close(standardizer.inverse(standardizer(features)), features)

    def test_does_not_follow_the_tensors_it_was_made_from(self) -> None:
        mean = self.MEAN.clone()
        standardizer = Standardizer(mean, self.STD)
        mean.zero_()
        assert torch.equal(standardizer.mean, self.MEAN)

    @pytest.mark.parametrize(
        ("mean", "std"),
        [
            ([0.0], [0.0]),
            ([0.0], [-1.0]),
            ([0.0], [math.nan]),
            ([0.0], [math.inf]),
            ([math.nan], [1.0]),
            ([0.0, 0.0], [1.0]),
        ],
    )
    def test_refuses_what_cannot_scale(self, mean: list[float], std: list[float]) -> None:
        with pytest.raises(ValueError, match="mean"):
            Standardizer(torch.tensor(mean), torch.tensor(std))

    def test_refuses_statistics_that_are_no_vector(self) -> None:
        with pytest.raises(ValueError, match="must be"):
            Standardizer(torch.zeros(2, 2), torch.ones(2, 2))
