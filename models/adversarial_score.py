"""How a clip is scored by a detector: its most suspicious window counts.

An attacker may change a part of a long clip alone, so a mean over windows would hide it.
"""

import torch
from torch import Tensor, nn

from models.freezing import frozen
from models.precision import full_float32
from models.threats import Domain
from models.victims import SpectrogramVictim


def clip_logits(
    detector: nn.Module, victim: SpectrogramVictim, x: Tensor, domain: Domain
) -> Tensor:
    """The largest logit of each clip's windows, (batch,); differentiable with respect to ``x``.

    Args:
        detector: of the victim, on its device.
        x: of the victim's view ``domain``, (batch, ...).
    """
    shown, counts = victim.shown(x, domain)
    each: Tensor = detector(shown)
    if len(each) == len(x):
        return each
    return torch.stack([part.amax() for part in torch.split(each, counts)])


def probabilities(logits: Tensor) -> Tensor:
    """Logits → scores in [0, 1], float64: a detector's are large, and float32 rounds them to 1."""
    return logits.double().sigmoid()


def clip_scores(
    detector: nn.Module, victim: SpectrogramVictim, x: Tensor, domain: Domain
) -> list[float]:
    """The score of each clip, in [0, 1]: above the detector's threshold it counts as attacked."""
    with torch.no_grad(), frozen(detector), full_float32(enabled=victim.exact):
        scores: list[float] = probabilities(clip_logits(detector, victim, x, domain)).tolist()
    return scores
