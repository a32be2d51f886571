"""The sound of an adversarial log-mel, against scipy and plain loops."""

import math

import numpy as np
import numpy.typing as npt
import pytest
import torch
from scipy import signal

from models.features import HOP, MELS, WINDOW, LogMel
from models.playback import fold, gains, play, snr_db

Array = npt.NDArray[np.float64]


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def changes(frames: int, size: float = 0.05, seed: int = 1) -> torch.Tensor:
    return size * torch.randn(frames, MELS, generator=torch.Generator().manual_seed(seed)).sign()


def reference(waveform: Array, change: Array, mel: Array) -> Array:
    """The formula of the module, frame by frame, with scipy's window and numpy's FFT."""
    window = signal.windows.hamming(WINDOW, sym=True)
    padded = np.pad(waveform, HOP)
    rows = [change[0], *change, change[-1]]
    total, weight = np.zeros_like(padded), np.zeros_like(padded)
    for number, row in enumerate(rows):
        piece = slice(number * HOP, number * HOP + WINDOW)
        spectrum = np.fft.rfft(padded[piece] * window)
        for k in range(WINDOW // 2 + 1):
            heard = mel[k].sum()
            if heard > 0:
                spectrum[k] *= math.exp(sum(mel[k, m] * row[m] for m in range(MELS)) / heard)
        total[piece] += window * np.fft.irfft(spectrum, n=WINDOW)
        weight[piece] += window**2
    quotient: Array = total / weight
    return quotient[HOP:-HOP]


class TestPlay:
    def test_is_the_formula(self) -> None:
        frames = 7
        waveform, change = noise((frames - 1) * HOP + WINDOW), changes(frames, 0.5)
        front_end = LogMel()
        expected = reference(
            waveform.double().numpy(), change.double().numpy(), front_end.mel.double().numpy()
        )
        played = play(front_end, waveform, change).double().numpy()
        assert np.abs(played - expected).max() <= 1e-6 * np.abs(expected).max()

    def test_scipy_inverts_to_the_same(self) -> None:
        """Its canonical dual window is the least-squares inverse."""
        frames = 9
        waveform, change = noise((frames - 1) * HOP + WINDOW), changes(frames, 0.5)
        front_end = LogMel()
        stft = signal.ShortTimeFFT(signal.windows.hamming(WINDOW, sym=True), HOP, fs=1)
        padded = np.pad(waveform.double().numpy(), WINDOW)
        spectrum = stft.stft(padded)
        # scipy's frame p has its middle at p hops: ours begin with its third, outermost rows go on.
        of_frame = (torch.arange(*stft.p_range(len(padded))) - 3).clamp(0, frames - 1)
        spectrum = spectrum * gains(change[of_frame].double(), front_end.mel.double()).numpy().T
        expected = stft.istft(spectrum, k1=len(padded))[WINDOW:-WINDOW]
        played = play(front_end, waveform, change).double().numpy()
        assert np.abs(played - expected).max() <= 1e-6

    def test_no_change_gives_the_clip_back_to_its_edges(self) -> None:
        waveform = noise(2, 20 * HOP + WINDOW)
        played = play(LogMel(), waveform, torch.zeros(2, 21, MELS))
        assert float((played - waveform).abs().max()) <= 1e-6 * float(waveform.abs().max()) * 4

    def test_samples_behind_the_last_frame_stay(self) -> None:
        waveform = noise(4 * HOP + WINDOW + 200)
        played = play(LogMel(), waveform, changes(5, 0.5))
        assert torch.equal(played[-200:], waveform[-200:])
        assert not torch.allclose(played[-456:-200], waveform[-456:-200])

    def test_an_equal_change_of_all_bands_is_a_change_of_loudness(self) -> None:
        waveform = noise(10 * HOP + WINDOW)
        # The mean of the waveform and what lies above the last filter are in bins that none hears.
        waveform = torch.from_numpy(
            signal.sosfiltfilt(
                signal.butter(6, [200, 6000], "bandpass", fs=16000, output="sos"), waveform.numpy()
            ).astype(np.float32)
        )
        played = play(LogMel(), waveform, torch.full((11, MELS), math.log(2)))
        inner = slice(HOP, -HOP)
        assert float(snr_db(2 * waveform[inner], played[inner])) > 60

    def test_moves_the_log_mels_the_wanted_way(self) -> None:
        waveform, change = noise(60 * HOP + WINDOW), changes(61, 0.05)
        front_end = LogMel()
        got = front_end(play(front_end, waveform, change)) - front_end(waveform)
        agreement = torch.corrcoef(torch.stack([got.flatten(), change.flatten()]))[0, 1]
        assert float(agreement) > 0.7

    def test_a_batch_is_its_clips(self) -> None:
        waveform, change = (
            noise(3, 5 * HOP + WINDOW),
            torch.stack([changes(6, 0.3, s) for s in range(3)]),
        )
        each = [play(LogMel(), waveform[i], change[i]) for i in range(3)]
        assert torch.allclose(play(LogMel(), waveform, change), torch.stack(each), atol=1e-7)

    def test_the_edges_are_not_blown_up(self) -> None:
        played = play(LogMel(), noise(40 * HOP + WINDOW), changes(41, 0.3))
        error = (played - noise(40 * HOP + WINDOW)).square()
        assert float(error[:64].mean()) < 3 * float(error.mean())
        assert float(error[-64:].mean()) < 3 * float(error.mean())

    @pytest.mark.parametrize(("samples", "frames"), [(2000, 8), (2000, 5), (511, 1)])
    def test_a_change_of_another_length_is_refused(self, samples: int, frames: int) -> None:
        with pytest.raises(ValueError, match=rf"{frames} frames, a waveform of {samples} samples"):
            play(LogMel(), noise(samples), changes(frames))


class TestGains:
    def test_a_bin_that_no_filter_hears_stays(self) -> None:
        mel = LogMel().mel
        deaf = mel.sum(dim=1) == 0
        assert bool(deaf.any())
        assert torch.equal(gains(torch.ones(1, MELS), mel)[0, deaf], torch.ones(int(deaf.sum())))

    def test_an_equal_change_is_the_gain_of_every_other_bin(self) -> None:
        mel = LogMel().mel
        heard = mel.sum(dim=1) > 0
        factors = gains(torch.full((2, MELS), 0.7), mel)[:, heard]
        assert torch.allclose(factors, torch.full_like(factors, math.exp(0.7)))

    def test_a_huge_change_still_makes_a_sound(self) -> None:
        """Ten standard deviations of a wide band are more than float32 can raise e to."""
        waveform = noise(5 * HOP + WINDOW)
        played = play(LogMel(), waveform, torch.full((6, MELS), 10 * 11.7))
        assert bool(torch.isfinite(LogMel()(played)).all())
        assert math.isfinite(float(snr_db(waveform, played)))


class TestFold:
    def test_is_the_mean_of_the_repeats(self) -> None:
        change = changes(8)
        folded = fold(change, 3)
        assert torch.allclose(folded[0], (change[0] + change[3] + change[6]) / 3)
        assert torch.allclose(folded[2], (change[2] + change[5]) / 2)

    def test_a_clip_that_is_not_repeated_keeps_its_change(self) -> None:
        assert torch.equal(fold(changes(8), 8), changes(8))


class TestSnr:
    def test_ten_times_less_amplitude_is_twenty_decibels(self) -> None:
        clip = noise(2, 1000)
        assert snr_db(clip, 1.1 * clip).tolist() == pytest.approx([20, 20], abs=1e-3)

    def test_nothing_changed_is_200(self) -> None:
        assert float(snr_db(noise(10), noise(10))) == pytest.approx(200)

    def test_silence_that_stays_silent_is_too(self) -> None:
        assert float(snr_db(torch.zeros(9), torch.zeros(9))) == 200

    def test_sound_where_there_was_none_is_the_least(self) -> None:
        assert float(snr_db(torch.zeros(9), torch.ones(9))) == -200
