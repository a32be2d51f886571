"""A small model with clips, and a detector that knows exactly what is attacked."""

import torch
from torch import Tensor, nn

from models.audit import Audit
from models.victims import SpectrogramVictim
from tests.models.audit.recordings import LABELS, Recordings, sounds
from tests.models.tiny import tiny_net
from tests.models.victims.spectrogram import FRAMES, standardizer


class Roughness(nn.Module):
    """A detector without weights: how much neighbouring frames differ."""

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = x.diff(dim=1).abs().mean(dim=(1, 2))
        return logits


def audit(*, audible: bool = True, n: int = 6) -> Audit:
    """An audit of a tiny network on noise of several lengths; of some clips it is right."""
    victim = SpectrogramVictim(tiny_net().eval(), standardizer(), LABELS, FRAMES)
    clips = Recordings(sounds(n), audible=audible)
    found = Audit(victim, clips, [])
    labels = [found.clean([index])[index].label for index in range(n)]
    labels[0] = LABELS[(LABELS.index(labels[0]) + 1) % len(LABELS)]  # the model is wrong there
    return Audit(victim, Recordings(sounds(n), labels, audible=audible), [])


def batch(n: int = 4) -> tuple[Tensor, Tensor]:
    """z-scored log-mels of the model's window, smooth as a clean clip is, and labels."""
    noise = torch.Generator().manual_seed(1)
    x = torch.randn(n, 1, 64, generator=noise).expand(n, FRAMES, 64)
    return x + 0.01 * torch.randn(n, FRAMES, 64, generator=noise), torch.arange(n) % 3
