"""How large a change was, measured on what was scored."""

import math
from typing import Final

import torch
from torch import Tensor

from models.audit.evidence import Distortion
from models.playback import snr_db
from models.threats import Domain, vector_norm
from models.victims import SpectrogramVictim

DB: Final = 20 / math.log(10)
"""Decibels of one unit of the natural logarithm of a magnitude."""


def distortions(
    victim: SpectrogramVictim, domain: Domain, x: Tensor, x_adv: Tensor
) -> list[Distortion]:
    """Of each clip.

    Args:
        x, x_adv: of the victim's view ``domain``, (batch, ...).
    """
    change = (x_adv - x).flatten(1)
    linf = _rounded(change.abs().amax(dim=1))
    l2 = _rounded(vector_norm(change))
    ratios: list[float | None] = [None] * len(x)
    if domain == "waveform":
        ratios = [round(value, 3) for value in snr_db(x, x_adv).tolist()]
    with torch.no_grad():
        if domain == "waveform":
            moved = victim.log_mel(x_adv) - victim.log_mel(x)
        else:
            moved = (x_adv - x) * victim.standardizer.std
        bands = moved.square().mean(dim=1).sqrt()
    db = [round(value, 3) for value in (DB * bands.amax(dim=1)).tolist()]
    return [
        Distortion(linf=linf[row], l2=l2[row], snr_db=ratios[row], band_db=db[row])
        for row in range(len(x))
    ]


def _rounded(values: Tensor) -> list[float]:
    """To the digits that a float32 has."""
    return [float(f"{value:.7g}") for value in values.tolist()]
