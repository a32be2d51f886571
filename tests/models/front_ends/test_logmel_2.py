"""``logmel-2`` against its formula written out in numpy, and what it is for."""

import math

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from models.features import HOP, LOG_FLOOR, MELS, WINDOW, LogMel, band_centres
from models.front_ends import FRONT_ENDS
from models.front_ends.logmel_2 import FLOOR
from models.playback import play

Array = npt.NDArray[np.float64]

LOGMEL_2 = FRONT_ENDS["logmel-2"]


def speechlike(samples: int = 16_000, seed: int = 0) -> Tensor:
    """Noise of the pace of syllables, never quite silent."""
    time = torch.arange(samples) / 16_000
    loudness = 0.02 + 0.2 * torch.sin(2 * torch.pi * 3 * time).square()
    return loudness * torch.randn(samples, generator=torch.Generator().manual_seed(seed))


def reference(log_mels: Array) -> Array:
    """The module's formula, frame by frame."""
    magnitudes = np.maximum(np.exp(log_mels) - LOG_FLOOR, 0)
    counted = [b for b in range(MELS) if float(band_centres()[b]) >= 100]
    envelope = [sum(frame[b] for b in counted) / len(counted) for frame in magnitudes]
    level = sum(e**2 for e in envelope) / sum(envelope)
    speech = [10 ** (p50(max(100.0, float(hz))) / 20) for hz in band_centres()]
    mean = sum(speech[b] for b in counted) / len(counted)
    floor = np.array([one / mean * 10 ** (-40 / 20) for one in speech])
    loud = [t for t, e in enumerate(envelope) if e >= 10 ** (-55 / 20) * level]
    return np.array([np.log(magnitudes[t] / level + floor) for t in loud])


def p50(hz: float) -> float:
    """ITU-T P.50, Sec. 4.2: power density of speech, dB."""
    x = math.log10(hz)
    return -376.44 + 465.439 * x - 157.745 * x**2 + 16.7124 * x**3


def heard(waveform: Tensor) -> Tensor:
    return LOGMEL_2(LogMel()(waveform))


def silence(frames: float) -> Tensor:
    return torch.zeros(int(frames * HOP))


class TestFormula:
    def test_is_the_modules(self) -> None:
        waveform = torch.cat([silence(6.3), speechlike(), silence(4.7)]).double()
        log_mels = LogMel().double()(waveform)
        expected = reference(log_mels.numpy())
        np.testing.assert_allclose(LOGMEL_2(log_mels).numpy(), expected, rtol=0, atol=1e-9)

    def test_passes_torchs_own_check_from_the_waveform_on(self) -> None:
        log_mel = LogMel().double()
        waveform = speechlike(WINDOW + 4 * HOP).double().requires_grad_()
        assert torch.autograd.gradcheck(
            lambda samples: LOGMEL_2(log_mel(samples)), waveform, fast_mode=True
        )

    def test_of_several_recordings_is_each_ones_own(self) -> None:
        both = LogMel()(torch.stack([speechlike(seed=1), 0.1 * speechlike(seed=2)]))
        together = LOGMEL_2.frames(both)
        for one, row in zip(both, together, strict=True):
            torch.testing.assert_close(LOGMEL_2.frames(one), row, rtol=0, atol=1e-6)


class TestLevel:
    @pytest.mark.parametrize("db", [-40, -26, 6, 20])
    def test_makes_no_difference(self, db: float) -> None:
        louder = 10 ** (db / 20) * speechlike()
        torch.testing.assert_close(heard(louder), heard(speechlike()), rtol=0, atol=2e-3)

    def test_is_not_moved_by_hum_below_100_hz(self) -> None:
        waveform = speechlike()
        hum = 0.3 * torch.sin(2 * torch.pi * 35 * torch.arange(len(waveform)) / 16_000)
        plain, hummed = heard(waveform), heard(waveform + hum)
        above = band_centres() > 400
        assert (plain - hummed)[:, above].abs().median() < 0.02


class TestSilence:
    def test_at_the_ends_is_not_heard(self) -> None:
        waveform = speechlike()
        padded = torch.cat([silence(20), waveform, silence(31)])
        plain, found = heard(waveform), heard(padded)
        # Frames that are half silence, and the rest of a hop.
        assert 0 <= len(found) - len(plain) <= 3
        first = 1  # half silence
        shared = found[first : first + len(plain)]
        torch.testing.assert_close(shared, plain[: len(shared)], rtol=0, atol=0.02)

    def test_inside_is_not_heard_either(self) -> None:
        first, second = speechlike(30 * HOP, seed=3), speechlike(30 * HOP, seed=4)
        plain = heard(torch.cat([first, second]))
        gated = heard(torch.cat([first, silence(10), second]))
        assert len(gated) - len(plain) <= 2
        torch.testing.assert_close(gated[:28], plain[:28], rtol=0, atol=0.05)
        torch.testing.assert_close(gated[-28:], plain[-28:], rtol=0, atol=0.05)

    def test_alone_is_all_floor(self) -> None:
        found = heard(silence(40))
        assert found.shape == (39, MELS)
        torch.testing.assert_close(found, FLOOR.log().float().expand(39, MELS))

    def test_of_a_constant_offset_is_silence_too(self) -> None:
        waveform = speechlike()
        padded = torch.cat([torch.full((20 * HOP,), 0.0005), waveform])
        assert len(heard(padded)) <= len(heard(waveform)) + 3


class TestUndone:
    def test_asks_for_the_change_that_is_wanted(self) -> None:
        waveform = torch.cat([silence(8), speechlike()])
        log_mels = LogMel()(waveform)
        change = 0.05 * torch.randn(
            len(LOGMEL_2(log_mels)), MELS, generator=torch.Generator().manual_seed(5)
        )
        asked = LOGMEL_2.undone(log_mels, change)
        frames = LOGMEL_2.heard(log_mels)
        level = torch.exp(log_mels[frames]) / (torch.exp(LOGMEL_2(log_mels)) - FLOOR.float())
        moved = torch.log(torch.exp((log_mels + asked)[frames]) / level + FLOOR.float())
        torch.testing.assert_close(moved, LOGMEL_2(log_mels) + change, rtol=0, atol=5e-3)

    def test_asks_nothing_of_what_is_not_heard(self) -> None:
        log_mels = LogMel()(torch.cat([silence(8), speechlike(), silence(9)]))
        asked = LOGMEL_2.undone(log_mels, torch.full((3, MELS), 0.2))
        first = int(LOGMEL_2.heard(log_mels)[0])
        assert not asked[:first].any()
        assert asked[first : first + 3].all()
        assert not asked[first + 3 :].any()

    def test_of_no_change_plays_the_recording(self) -> None:
        waveform = speechlike()
        log_mels = LogMel()(waveform)
        played = play(LogMel(), waveform, LOGMEL_2.undone(log_mels, torch.zeros(10, MELS)))
        torch.testing.assert_close(played, waveform, rtol=0, atol=1e-6)
