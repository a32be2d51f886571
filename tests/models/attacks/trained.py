"""A victim of about four hundred weights that has learnt to tell tones in noise apart, and clips.

Attacks of the strengths here break some of the clips and not others.
"""

from functools import cache
from typing import Final

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from models.features import LogMel, Standardizer
from models.threats import Domain, Norm, ThreatModel
from models.victims import SpectrogramVictim
from tests.models.tiny import TinyNet

FRAMES = 32
SAMPLES = 8448
"""Fill 32 frames exactly."""
LABELS = ("low", "middle", "high", "d", "e", "f", "g", "h")
HZ = (400.0, 900.0, 1500.0, 2300.0, 3200.0, 4200.0, 5300.0, 6500.0)

STRENGTHS: Final[dict[tuple[Domain, Norm], float]] = {
    ("features", "linf"): 0.05,
    ("features", "l2"): 1.0,
    ("waveform", "linf"): 0.0005,
    ("waveform", "l2"): 40.0,
}
"""At which gradient attacks break some clips and not others."""
LARGE: Final[dict[tuple[Domain, Norm], float]] = {
    ("features", "linf"): 0.2,
    ("features", "l2"): 4.0,
    ("waveform", "linf"): 0.004,
    ("waveform", "l2"): 20.0,
}
"""At which they break all, and reach any target."""

THREATS = [ThreatModel(domain, norm) for domain, norm in STRENGTHS]
every_threat = pytest.mark.parametrize(
    "threat", THREATS, ids=[f"{threat.domain}-{threat.norm}" for threat in THREATS]
)


def sounds(n: int, classes: int = 3, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Tones in noise, (n, samples) float32, and which tone it is, (n,)."""
    noise = torch.Generator().manual_seed(seed)
    y = torch.arange(n) % classes
    hz = torch.tensor(HZ)[y] * (0.9 + 0.2 * torch.rand(n, generator=noise))
    tone = torch.sin(2 * torch.pi * hz[:, None] * torch.arange(SAMPLES) / 16_000)
    return 0.02 * tone + 0.04 * torch.randn(n, SAMPLES, generator=noise), y


def clips_of(domain: Domain, n: int = 4, classes: int = 3) -> tuple[Tensor, Tensor]:
    """Clips that were not learnt and are understood: (n, samples), or (n, 32, 64) z-scored."""
    x, y = sounds(8 * n, classes, seed=100)
    x = x if domain == "waveform" else seen(x)
    right = trained(classes).view(domain).scores(x).argmax(dim=1) == y
    assert int(right.sum()) >= n
    return x[right][:n], y[right][:n]


def seen(x: Tensor) -> Tensor:
    """What a network sees of sounds."""
    z: Tensor = standardizer()(LogMel()(x))
    return z


@cache
def standardizer() -> Standardizer:
    """Of the tones."""
    mels = LogMel()(sounds(64, 8)[0]).flatten(0, 1)
    return Standardizer(mels.mean(dim=0), mels.std(dim=0))


@cache
def _learnt(classes: int, seed: int) -> dict[str, Tensor]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = TinyNet(classes)
    x, y = sounds(24 * classes, classes)
    x = seen(x)
    optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
    for _ in range(60):
        optimizer.zero_grad()
        functional.cross_entropy(net(x), y).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return net.state_dict()


def trained_net(classes: int = 3, seed: int = 1) -> TinyNet:
    """A network that knows so many tones, in eval mode; each call makes one."""
    net = TinyNet(classes)
    net.load_state_dict(_learnt(classes, seed))
    return net.eval()


def trained(
    classes: int = 3, *, seed: int = 1, dtype: torch.dtype = torch.float32
) -> SpectrogramVictim:
    """It as an attacker sees it."""
    known = standardizer()
    scale = Standardizer(known.mean.to(dtype), known.std.to(dtype))
    return SpectrogramVictim(trained_net(classes, seed).to(dtype), scale, LABELS[:classes], FRAMES)
