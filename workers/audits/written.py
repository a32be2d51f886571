"""Reads the adversarial inputs that an audit has written, and measures them anew.

The file of tensors says by itself what each is, and the sound of an attack on a waveform is the
16-bit WAV that was scored: both are held to the budget as whoever gets them would hold them.
"""

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import soundfile
import torch
from safetensors import safe_open
from torch import Tensor

from app.audits import files
from models.attacks import Attack
from models.audit.checks import Written
from models.audit.perturbation import Perturbation
from models.budget import STEP
from models.threats import ThreatModel

ROUNDING: Final = 4 * torch.finfo(torch.float32).eps
"""Of a float32, in parts of its size: a change is the difference of two."""


def written(folder: Path, attacks: Sequence[Perturbation]) -> Written | None:
    """Measure what lies in an audit's folder of artifacts.

    Returns:
        None if no inputs were kept.
    """
    path = folder / files.INPUTS_FILE
    if not path.is_file():
        return None
    ratios = list(_ratios(path, attacks))
    beyond = [one for one in ratios if one > 1]
    return Written(inputs=len(ratios), beyond=len(beyond), worst=max(beyond, default=0.0))


def _ratios(path: Path, attacks: Sequence[Perturbation]) -> Iterator[float]:
    """Distance over what is allowed, of each input; the larger where it was kept as sound, too."""
    with safe_open(path, framework="pt") as file:
        points = json.loads(file.metadata()["points"])
        for name in sorted(file.keys()):
            clip, _, number = name.partition(".attacked.")
            if not number:
                continue
            attack = attacks[points[number]["attack"]]
            if not isinstance(attack, Attack):
                continue
            strength = points[number]["strength"]
            clean = file.get_tensor(f"{clip}.{attack.domain}")
            kept = [file.get_tensor(name)]
            sound = path.parent / files.sound_name(int(clip), int(number) + 1)
            if attack.domain == "waveform" and sound.is_file():
                samples, _ = soundfile.read(sound, dtype="float32")
                kept.append(torch.from_numpy(samples))
            yield max(distance(attack.threat, clean, one, strength) for one in kept)


def distance(threat: ThreatModel, clean: Tensor, changed: Tensor, strength: float) -> float:
    """How far an input is from its clip, over the most that it may be: at most 1 within its budget.

    The most is the radius, what float32 loses and, of a recording that is not of 16 bits itself,
    half a step of each sample.
    """
    if changed.shape != clean.shape or not bool(changed.isfinite().all()):
        return math.inf
    x, change = clean[None].double(), (changed.double() - clean.double())[None]
    radius = float(threat.radius(x, strength))
    each = ROUNDING * float(x.abs().max())
    if threat.domain == "waveform" and not torch.equal((x / STEP).round() * STEP, x):
        each += STEP / 2
    values = 1 if threat.norm == "linf" else math.sqrt(change.numel())
    allowed = radius * (1 + 1e-6) + each * values
    size = float(threat.size(change))
    return size / allowed if allowed else (0.0 if size == 0 else math.inf)
