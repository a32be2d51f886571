"""Resampling between 16 kHz and a lower rate, by the resampler that recordings are read with."""

import torch
from torch import Tensor


def resample(waveform: Tensor, rate: int, new_rate: int) -> Tensor:
    """The same sound at another rate, (samples,) → (samples',) float32; what lies above half of the
    lower rate is gone. It may be a sample longer or shorter than the time says."""
    import soxr  # not above: a bare GPU machine may lack it

    return torch.from_numpy(soxr.resample(waveform.numpy(), rate, new_rate, quality="HQ"))


def as_long_as(waveform: Tensor, samples: int) -> Tensor:
    """Cut, or filled up with zeros: what filters and codecs lose or add at the end."""
    found = waveform.new_zeros(samples)
    kept = min(samples, len(waveform))
    found[:kept] = waveform[:kept]
    return found
