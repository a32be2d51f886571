"""What counts of an attack's proposal: what its budget allows and, of sound, what a file holds.

A waveform is scored as a reader of its 16-bit file hears it. Samples beyond full scale, which
resampling makes and float files may hold, are the exception: a file would clip them, by far more
than most budgets, and clipping is no part of the attack. They are rounded like all others, and
stay.
"""

import io
from typing import Final

import torch
from torch import Tensor

from models.audio import encode_wav
from models.threats import ThreatModel

STEP: Final = 1.0 / 32_768
"""Of 16-bit audio."""
LOWEST: Final = -32_768.0
HIGHEST: Final = 32_767.0
"""The range of 16-bit audio, in steps."""
SLACK: Final = 1e-4
"""Of a step: a radius of three steps, as a float32 has it, may be a little less than three."""
EXCESS: Final = 1 + 1e-6
"""Of a norm: what float32 loses of it is none."""


def within_budget(threat: ThreatModel, x: Tensor, proposal: Tensor, radius: Tensor) -> Tensor:
    """What of a proposal is scored: the nearest point of the ball, and a waveform as a file has it.

    Args:
        x, proposal: (batch, ...).
        radius: (batch,).
    """
    x_adv = threat.project(x, proposal, radius)
    return x_adv if threat.domain == "features" else as_file(threat, x, x_adv, radius)


def as_file(threat: ThreatModel, x: Tensor, x_adv: Tensor, radius: Tensor) -> Tensor:
    """Adversarial waveforms as 16-bit WAV files have them: written, read back, within their budget.

    A clip that is not of 16 bits itself moves when it is written, whatever the budget: each sample
    then by up to half a step. Beyond that the ball is not left.

    Args:
        x: (batch, samples), full scale 1.
        x_adv: (batch, samples), within the ball around ``x``.
        radius: (batch,).

    Returns:
        What a reader of the files hears, (batch, samples).
    """
    clean, wanted = x.double() / STEP, x_adv.double() / STEP
    reach = radius.double()[:, None] / STEP
    if threat.norm == "linf":
        steps = _rounded(clean, wanted, reach)
    else:
        steps = _rounded_in_l2(clean, wanted, reach)
    return _through_a_file((steps * STEP).to(x))


def _rounded(clean: Tensor, wanted: Tensor, reach: Tensor) -> Tensor:
    """The whole numbers nearest to ``wanted`` that are no farther from ``clean`` than ``reach``;
    where there is none, the nearest to ``clean``. All in steps."""
    low, high = torch.ceil(clean - reach - SLACK), torch.floor(clean + reach + SLACK)
    found = torch.where(low <= high, wanted.round().clamp(low, high), clean.round())
    return _in_range(clean, found)


def _rounded_in_l2(clean: Tensor, wanted: Tensor, reach: Tensor) -> Tensor:
    """Whole numbers near ``wanted``, together no farther from ``clean`` than ``reach``.

    Rounding to the nearest makes a change larger. Where it becomes too large, samples are rounded
    towards the clip instead, first those that lie in the middle between two steps.
    """
    nearest = _in_range(clean, wanted.round())
    inwards = _rounded(clean, wanted, (wanted - clean).abs())
    least = (inwards - clean).square()
    order = (wanted - nearest).abs().argsort(dim=1, stable=True)
    more = ((nearest - clean).square() - least).gather(1, order).cumsum(dim=1)
    fits = least.sum(dim=1, keepdim=True) + more <= (EXCESS * reach).square()
    return torch.where(torch.zeros_like(fits).scatter(1, order, fits), nearest, inwards)


def _in_range(clean: Tensor, steps: Tensor) -> Tensor:
    """No louder than a file allows, or than the clip is already."""
    return steps.clamp(clean.floor().clamp_max(LOWEST), clean.ceil().clamp_min(HIGHEST))


def within_full_scale(x: Tensor) -> Tensor:
    """Which samples a 16-bit file holds, bool of the shape of ``x``."""
    return (x >= LOWEST * STEP) & (x <= HIGHEST * STEP)


def _through_a_file(x: Tensor) -> Tensor:
    """Write and read each clip, (batch, samples)."""
    read = torch.stack([_read_back(one) for one in x]).to(x)
    return torch.where(within_full_scale(x), read, x)


def _read_back(samples: Tensor) -> Tensor:
    import soundfile  # not above: a bare GPU machine may lack it

    content = encode_wav(samples.cpu().numpy(), encoding="pcm16")
    read, _ = soundfile.read(io.BytesIO(content), dtype="float32")
    return torch.from_numpy(read)
