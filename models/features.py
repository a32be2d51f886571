"""The front end: waveform → log-mel spectrogram → a fixed number of z-scored frames.

Numbers from the paper (Sec. 4.2) and from the authors' reference code: ``docs/paper.md``.
Everything here is differentiable from the waveform on and runs where its buffers are.
"""

import math
from collections.abc import Callable
from typing import Final, Self

import torch
from torch import Tensor, nn

SAMPLE_RATE: Final = 16_000
WINDOW: Final = 512
HOP: Final = 256
MELS: Final = 64
FRAMES: Final = 373
"""What the networks see: 95,744 samples, 5.984 s."""
LOWEST_HZ: Final = 20.0
HIGHEST_HZ: Final = 8_000.0
LOG_FLOOR: Final = 1e-8
LOG_MEL: Final = "logmel-16k-512-256-64"
"""Names all of the above in cached features: other log-mels need another name, or what was made
with these would be taken for theirs."""


def hz_to_mel(hz: Tensor) -> Tensor:
    """Slaney's scale (Auditory Toolbox, 1998): linear to 1 kHz, then logarithmic."""
    log_step = math.log(6.4) / 27
    return torch.where(
        hz < 1000, hz * 3 / 200, 15 + torch.log(hz.clamp_min(1000) / 1000) / log_step
    )


def mel_to_hz(mel: Tensor) -> Tensor:
    """The inverse of :func:`hz_to_mel`."""
    log_step = math.log(6.4) / 27
    return torch.where(mel < 15, mel * 200 / 3, 1000 * torch.exp((mel - 15) * log_step))


def band_corners() -> Tensor:
    """Where each filter begins, peaks and ends, in Hz: three successive of these ``(66,)``."""
    ends = hz_to_mel(torch.tensor([LOWEST_HZ, HIGHEST_HZ], dtype=torch.float64)).tolist()
    return mel_to_hz(torch.linspace(ends[0], ends[1], MELS + 2, dtype=torch.float64))


def band_centres() -> Tensor:
    """Where each filter peaks, in Hz, ``(64,)`` float64."""
    return band_corners()[1:-1]


def mel_filter_bank() -> Tensor:
    """Triangular filters of equal area (Slaney norm), ``(257, 64)`` float64."""
    bins = torch.linspace(0, SAMPLE_RATE / 2, WINDOW // 2 + 1, dtype=torch.float64)
    corners = band_corners()
    left, centre, right = corners[:-2], corners[1:-1], corners[2:]
    rising = (bins[:, None] - left) / (centre - left)
    falling = (right - bins[:, None]) / (right - centre)
    return torch.minimum(rising, falling).clamp_min(0) * 2 / (right - left)


def analysis_window() -> Tensor:
    """Symmetric Hamming window of unit energy, ``(512,)`` float64."""
    hamming = torch.hamming_window(WINDOW, periodic=False, dtype=torch.float64)
    return hamming / hamming.square().sum().sqrt()


class LogMel(nn.Module):
    """Log-mel spectrogram: ln(mel(|STFT|) + 1e-8).

    Symmetric Hamming window of 512, hop 256, no centring and no padding, magnitudes scaled by
    1/sqrt(sum(w^2)); 64 Slaney mel bands from 20 Hz to 8 kHz. The scale of the window is the one
    of ``scipy.signal.spectrogram(scaling="density", mode="magnitude")`` at fs = 1.

    Buffers:
        window: scaled analysis window, (512,), float32 until the module is given another type.
        mel: filter bank, (257, 64), likewise.
    """

    window: Tensor
    mel: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("window", analysis_window().float(), persistent=False)
        self.register_buffer("mel", mel_filter_bank().float(), persistent=False)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Move or convert, as ``to`` and ``double`` do; another type has the exact constants, not
        those that were rounded to the one before."""
        before = self.window.dtype
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        if self.window.dtype != before:
            self.window.copy_(analysis_window())
            self.mel.copy_(mel_filter_bank())
        return self

    def spectrum(self, waveform: Tensor) -> Tensor:
        """Scaled complex STFT, ``(..., samples)`` → ``(..., frames, 257)``.

        Raises:
            ValueError: fewer than 512 samples, which do not fill one window.
        """
        if waveform.shape[-1] < WINDOW:
            raise ValueError(
                f"{waveform.shape[-1]} samples do not fill one window: at least {WINDOW} are needed"
            )
        spectrum: Tensor = torch.fft.rfft(waveform.unfold(-1, WINDOW, HOP) * self.window)
        return spectrum

    def forward(self, waveform: Tensor) -> Tensor:
        """Features before z-scoring.

        Args:
            waveform: (..., samples), float at 16 kHz, full scale 1.

        Returns:
            (..., frames, 64), natural logarithm, frames = 1 + (samples - 512) // 256.

        Raises:
            ValueError: fewer than 512 samples, which do not fill one window.
        """
        return torch.log(self.spectrum(waveform).abs() @ self.mel + LOG_FLOOR)


class Standardizer(nn.Module):
    """z-score per mel band with the training split's statistics.

    The attack acts after this step: an epsilon counts standard deviations of a band.

    Buffers:
        mean, std: (mels,), in units of the log-mel.

    Raises:
        ValueError: they are not two vectors of one length, a mean is not finite, or a deviation is
            not finite and positive.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        if mean.shape != std.shape or mean.ndim != 1:
            raise ValueError(f"mean {tuple(mean.shape)} and std {tuple(std.shape)} must be (mels,)")
        if not bool(torch.isfinite(mean).all() and torch.isfinite(std).all() and (std > 0).all()):
            raise ValueError("mean must be finite, std finite and positive in every mel band")
        self.register_buffer("mean", mean.detach().clone(), persistent=False)
        self.register_buffer("std", std.detach().clone(), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """Log-mels ``(..., mels)`` → standard deviations from the band's mean."""
        return (features - self.mean) / self.std

    def inverse(self, x: Tensor) -> Tensor:
        """Standard deviations → log-mels."""
        return x * self.std + self.mean


def tile(features: Tensor, frames: int = FRAMES) -> Tensor:
    """Repeat a clip from its start until it has ``frames`` frames, or cut it there.

    Args:
        features: (..., n, mels), n >= 1.
        frames: wanted length.

    Returns:
        (..., frames, mels). Clips are never padded with zeros.

    Raises:
        ValueError: there is no frame to repeat.
    """
    n = features.shape[-2]
    if n < 1:
        raise ValueError("a clip without frames cannot be tiled")
    index = torch.arange(frames, device=features.device) % n
    return features.index_select(-2, index)


def windows(features: Tensor, frames: int = FRAMES) -> Tensor:
    """Cut a long clip into half-overlapping windows; the last one ends with the clip.

    Args:
        features: (n, mels).
        frames: length of a window.

    Returns:
        (windows, frames, mels). A clip of at most ``frames`` frames gives one, tiled.

    Raises:
        ValueError: there is no frame at all.
    """
    n = features.shape[0]
    if n <= frames:
        return tile(features, frames).unsqueeze(0)
    last = n - frames
    starts = [*range(0, last, frames // 2), last]
    return torch.stack([features[start : start + frames] for start in starts])
