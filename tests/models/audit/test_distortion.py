"""The size of a change, against numpy."""

import numpy as np
import pytest
import torch

from models.audit.distortion import distortions
from models.features import MELS, LogMel, Standardizer
from models.victims import SpectrogramVictim
from tests.models.audit.recordings import FRAMES, LABELS, Bands, sounds

STD = torch.linspace(0.5, 4.0, MELS)
VICTIM = SpectrogramVictim(Bands(), Standardizer(torch.full((MELS,), -6.0), STD), LABELS, FRAMES)


class TestOfLogMels:
    def test_is_in_standard_deviations_and_the_loudest_band_in_decibels(self) -> None:
        generator = torch.Generator().manual_seed(1)
        x, change = (torch.randn(3, FRAMES, MELS, generator=generator) for _ in range(2))
        x_adv = x + 0.1 * change
        found = distortions(VICTIM, "features", x, x_adv)
        moved = (x_adv - x).double().numpy()
        for clip, size in zip(moved, found, strict=True):
            assert size.linf == pytest.approx(np.abs(clip).max(), rel=1e-6)
            assert size.l2 == pytest.approx(np.linalg.norm(clip), rel=1e-6)
            assert size.snr_db is None
            # a change of d in ln(m) is a factor of exp(d): 20 log10(exp(d)) dB
            db = 20 * np.log10(np.exp(clip * STD.numpy()))
            assert size.band_db == pytest.approx(np.sqrt((db**2).mean(axis=0)).max(), abs=1e-3)

    def test_a_band_that_doubles_is_six_decibels(self) -> None:
        x = torch.zeros(1, FRAMES, MELS)
        x_adv = x.clone()
        x_adv[..., 9] = np.log(2) / STD[9]
        assert distortions(VICTIM, "features", x, x_adv)[0].band_db == pytest.approx(
            6.021, abs=2e-3
        )

    def test_of_no_change_is_none(self) -> None:
        x = torch.ones(2, FRAMES, MELS)
        for size in distortions(VICTIM, "features", x, x):
            assert size.model_dump() == {"linf": 0, "l2": 0, "snr_db": None, "band_db": 0}


class TestOfWaveforms:
    def test_is_of_full_scale_with_the_snr_and_what_the_bands_hear(self) -> None:
        x = torch.stack([sounds()[3], sounds()[3].flip(0)])
        noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(2))
        x_adv = x + torch.tensor([[1e-3], [1e-2]]) * noise
        for sound, heard, size in zip(
            x, x_adv, distortions(VICTIM, "waveform", x, x_adv), strict=True
        ):
            change = (heard - sound).double().numpy()
            assert size.linf == pytest.approx(np.abs(change).max(), rel=1e-6)
            assert size.l2 == pytest.approx(np.linalg.norm(change), rel=1e-6)
            power = (sound.double().numpy() ** 2).sum() / (change**2).sum()
            assert size.snr_db == pytest.approx(10 * np.log10(power), abs=1e-3)
            bands = (LogMel()(heard) - LogMel()(sound)).double().numpy()
            rms = np.sqrt((bands**2).mean(axis=0)).max()
            assert size.band_db == pytest.approx(20 / np.log(10) * rms, abs=2e-3)

    def test_of_silence_that_stays_silent_is_the_largest_snr(self) -> None:
        x = torch.zeros(1, 600)
        assert distortions(VICTIM, "waveform", x, x)[0].snr_db == 200

    def test_is_a_number_that_json_has(self) -> None:
        silence, noise = torch.zeros(1, 600), torch.ones(1, 600)
        (size,) = distortions(VICTIM, "waveform", silence, noise)
        assert size.snr_db == -200
