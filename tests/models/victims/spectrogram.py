"""A small network as a victim, and input for its views."""

import torch
from torch import Tensor, nn

from models.features import HOP, MELS, WINDOW, Standardizer
from models.threats import Domain
from models.victims import SpectrogramVictim, Windows
from tests.models.tiny import tiny_net

FRAMES = 40
"""Of the window."""
LABELS = ("calm", "cross", "sad")


def samples(frames: int) -> int:
    """As many as give so many frames."""
    return (frames - 1) * HOP + WINDOW


def standardizer(seed: int = 0, dtype: torch.dtype = torch.float32) -> Standardizer:
    """Statistics about like those of speech: each band its own."""
    noise = torch.Generator().manual_seed(seed)
    mean = -5 + torch.rand(MELS, generator=noise)
    std = 1 + torch.rand(MELS, generator=noise)
    return Standardizer(mean, std).to(dtype)


def victim(
    net: nn.Module | None = None,
    *,
    seed: int = 0,
    dtype: torch.dtype = torch.float32,
    windows: Windows = "all",
    frames: int = FRAMES,
    front_end: str = "logmel-1",
    device: torch.device | None = None,
) -> SpectrogramVictim:
    """A tiny network with these statistics."""
    net = (net or tiny_net(seed=seed)).to(device, dtype)
    own = standardizer(seed, dtype).to(device)
    return SpectrogramVictim(net, own, LABELS, frames, front_end=front_end, windows=windows)


def inputs(
    domain: Domain, n: int = 4, frames: int = FRAMES, dtype: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor]:
    """Clips as the view takes them, (n, frames, 64) or (n, samples), and labels (n,)."""
    noise = torch.Generator().manual_seed(1)
    if domain == "features":
        x = torch.randn(n, frames, MELS, generator=noise)
    else:
        x = (0.1 * torch.randn(n, samples(frames), generator=noise)).clamp(-0.9, 0.9)
    return x.to(dtype), torch.arange(n) % len(LABELS)
