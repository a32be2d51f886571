"""Adversarial log-mels → sound: would the attack survive outside the feature space?

A log-mel spectrogram has no phase and fewer bands than the STFT has bins, so a change of it is not
a waveform yet. Here the change is played through the clip's own STFT (a fixed time-varying filter):

    gain[t, k] = exp( sum_m mel[k, m] change[t, m] / sum_m mel[k, m] )        1 where no filter is
    Y[t, k]    = gain[t, k] X[t, k]                                           X's own phase
    y[n]       = sum_t w[n - tH] y_t[n - tH] / sum_t w[n - tH]^2              y_t = irfft(Y[t])

The first line is the log-mel change of each band, spread over its bins by the filter bank; the last
is the least-squares inverse of a modified STFT (Griffin & Lim, "Signal estimation from modified
short-time Fourier transform", IEEE TASSP 1984, Eq. 6). Neighbouring bands and frames overlap, so
the log-mels of ``y`` follow the wanted change only in part: how many attacks survive that is what
the audit reports.
"""

from typing import Final

import torch
from torch import Tensor
from torch.nn import functional

from models.features import HOP, WINDOW, LogMel

LARGEST_LOG_GAIN: Final = 30.0
"""Of one bin, 260 dB: no speech asks for so much, and what is louder would end as infinity in
float32, whose scores could not be told from those of a broken model."""


def fold(change: Tensor, frames: int) -> Tensor:
    """The change that a tiled clip's repeats have in common: their mean.

    A network sees a short clip several times over (:func:`models.features.tile`), and an attack
    may change each repeat otherwise. The sound is there once: whoever plays or posts it gets the
    same frames in every repeat.

    Args:
        change: (tiled, mels), of all repeats.
        frames: of the clip alone, at most ``tiled``.

    Returns:
        (frames, mels).
    """
    index = torch.arange(len(change), device=change.device) % frames
    total = change.new_zeros(frames, change.shape[1]).index_add_(0, index, change)
    return total / torch.bincount(index, minlength=frames)[:, None]


def gains(change: Tensor, mel: Tensor) -> Tensor:
    """What a change of the log-mels asks of each STFT bin.

    Args:
        change: (..., frames, mels), natural logarithm, not z-scored.
        mel: filter bank, (bins, mels).

    Returns:
        Factors (..., frames, bins), positive and finite; 1 in bins that no filter hears.
    """
    heard = mel.sum(dim=1)
    weights = mel / torch.where(heard > 0, heard, 1.0)[:, None]
    return torch.exp((change @ weights.T).clamp_max(LARGEST_LOG_GAIN))


def play(front_end: LogMel, waveform: Tensor, change: Tensor) -> Tensor:
    """The waveform whose log-mels are changed, as far as a waveform can follow.

    Half a window of silence is put before and behind, and the outermost frames' gains go on there:
    every sample is then heard by two frames. With one, the window's small ends would be divided
    out, and what a gain smears over the frame would come back up to twelve times louder.

    Args:
        front_end: gives the window and the filter bank.
        waveform: (..., samples); what lies behind the last frame is returned as it is.
        change: (..., frames, mels) for each of its frames, natural logarithm, not z-scored.

    Returns:
        (..., samples). A change of zero gives ``waveform`` back to float precision.

    Raises:
        ValueError: ``change`` does not have the waveform's number of frames.
    """
    frames = 1 + (waveform.shape[-1] - WINDOW) // HOP
    if waveform.shape[-1] < WINDOW or change.shape[-2] != frames:
        raise ValueError(
            f"the change has {change.shape[-2]} frames, a waveform of {waveform.shape[-1]} samples "
            f"has {max(frames, 0)}: give one row of bands for each frame"
        )
    reached = (frames - 1) * HOP + WINDOW
    change = torch.cat([change[..., :1, :], change, change[..., -1:, :]], dim=-2)
    spectrum = front_end.spectrum(functional.pad(waveform[..., :reached], (HOP, HOP)))
    played = _invert(spectrum * gains(change, front_end.mel), front_end.window)[..., HOP:-HOP]
    return torch.cat([played, waveform[..., reached:]], dim=-1)


def _invert(spectrum: Tensor, window: Tensor) -> Tensor:
    """Least-squares inverse, (..., frames, bins) → (..., (frames - 1) * 256 + 512)."""
    pieces = torch.fft.irfft(spectrum, n=WINDOW) * window
    weight = window.square().expand(pieces.shape[-2], WINDOW)
    return _overlap_add(pieces) / _overlap_add(weight)


def _overlap_add(pieces: Tensor) -> Tensor:
    """(..., frames, 512) → (..., samples): with a hop of half a window, two halves meet."""
    first, second = pieces[..., :HOP], pieces[..., HOP:]
    blocks = functional.pad(first, (0, 0, 0, 1)) + functional.pad(second, (0, 0, 1, 0))
    return blocks.flatten(-2)


def snr_db(clean: Tensor, played: Tensor) -> Tensor:
    """Energy of the clip over energy of what was changed, in decibels: (..., samples) → (...).

    From -200 to 200, which also says that nothing was changed, as in a clip of digital silence:
    float32 itself ends at 150.
    """
    signal = clean.double().square().sum(dim=-1)
    noise = (played.double() - clean.double()).square().sum(dim=-1)
    ratio = 10 * torch.log10(signal / noise)
    return ratio.nan_to_num(nan=200.0).clamp(-200.0, 200.0)  # 0 / 0 is silence that stayed silent
