"""Sounds to corrupt, and generators to corrupt them with."""

import math

import torch
from torch import Generator, Tensor

from models.features import SAMPLE_RATE


def generator(seed: int = 0) -> Generator:
    return torch.Generator().manual_seed(seed)


def speechlike(seconds: float = 1.0, seed: int = 0) -> Tensor:
    """Partials of 140 Hz up to 7.9 kHz that swell four times a second, and a little noise."""
    time = torch.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    partials = torch.stack([torch.sin(2 * math.pi * 140 * n * time + n) / n for n in range(1, 57)])
    swell = 0.6 + 0.4 * torch.sin(2 * math.pi * 4 * time)
    hiss = torch.randn(len(time), generator=generator(seed))
    return 0.1 * swell * partials.sum(dim=0) + 0.001 * hiss


def tone(hz: float, seconds: float = 1.0, level: float = 0.5) -> Tensor:
    time = torch.arange(round(seconds * SAMPLE_RATE), dtype=torch.float64) / SAMPLE_RATE
    return (level * torch.sin(2 * math.pi * hz * time)).float()


def rms(waveform: Tensor) -> float:
    return float(waveform.double().square().mean().sqrt())


def db(ratio: float) -> float:
    """Of amplitudes."""
    return 20 * math.log10(ratio)


def snr_db(clean: Tensor, noisy: Tensor) -> float:
    """Written out: energy of the clip over that of the change."""
    change = noisy.double() - clean.double()
    return 10 * math.log10(float(clean.double().square().sum() / change.square().sum()))
