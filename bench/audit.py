"""A whole audit against a bare loop, and its forecast against what was spent.

An audit projects, scores, measures, plays and writes evidence beside the passes through the model.
The bare loop makes the same passes on inputs of the same size and nothing else. Both go through the
clips in chunks, by turns, and each chunk's forecast is made just before. The two are compared in
seconds of the processor, which other work on the machine does not lengthen; a forecast is one of
seconds that somebody waits.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

import models
from models.attacks import Attack
from models.attacks.noise import Noise
from models.attacks.pgd import Pgd
from models.audit import Audit, AuditRow, ClipFacts
from models.audit.forecast import forecast, total
from models.checkpoint import load_model
from models.features import SAMPLE_RATE, LogMel
from models.freezing import frozen
from models.precision import full_float32
from models.victims import Cost, SpectrogramVictim

STARTER = Path(models.__path__[0]) / "pretrained" / "cnn4-single-cremad"
CLIPS = 32
CHUNK = 4
"""Clips that an audit scores together here, and the bare loop too."""
SECONDS = 3.0
ATTACKS: tuple[Attack, ...] = (Pgd(epsilon=(0.02,), steps=10), Noise(epsilon=(0.02,), draws=5))


class NoiseClips:
    """Recordings of coloured noise, a window long; see :class:`models.audit.Clips`."""

    audible = True

    def __init__(self, n: int) -> None:
        draws = torch.Generator().manual_seed(0)
        samples = int(SECONDS * SAMPLE_RATE)
        noise = torch.randn(n, samples, generator=draws).cumsum(dim=1)
        self.waveforms = 0.05 * noise / noise.abs().amax(dim=1, keepdim=True)
        self.features: Tensor = LogMel()(self.waveforms)

    def __len__(self) -> int:
        return len(self.waveforms)

    def warning_codes(self, index: int) -> None:
        """They are no matter here."""

    def facts(self, index: int) -> ClipFacts:
        """Without a label: attacked at what the model says of it."""
        return ClipFacts(f"{index}.wav", None, None, None, SECONDS)

    def log_mels(self, index: int) -> Tensor:
        """(frames, mels)."""
        return self.features[index]

    def waveform(self, index: int) -> Tensor:
        """(samples,)."""
        return self.waveforms[index]


@dataclass
class Passes:
    """Told of every pass."""

    cost: Cost = field(default_factory=Cost)

    def __call__(self, forwards: int, backwards: int) -> None:
        self.cost += Cost(forwards, backwards)


def measure() -> list[dict[str, Any]]:
    """Both figures, from one audit."""
    net, config = load_model(STARTER)
    victim = SpectrogramVictim(net, config.standardizer, config.labels, config.frames)
    clips, counted = NoiseClips(CLIPS), Passes()
    one = Audit(victim, clips, ATTACKS, batch=CHUNK, on_pass=counted)
    foretold, taken, ratios = [], [], []
    for first in range(0, CLIPS, CHUNK):
        indices = range(first, first + CHUNK)
        foretold.append(forecast(ATTACKS, CHUNK, CHUNK, victim, CHUNK))
        waited, ours = timed(lambda: rows(one, indices))  # noqa: B023 (called at once)
        _, theirs = timed(lambda: bare(victim, clips, indices))  # noqa: B023
        taken.append(waited)
        ratios.append(theirs / ours)
    check(sum((each.cost for each in foretold), start=Cost()), counted.cost)
    expected, spent = sum(each.seconds for each in foretold), sum(taken)
    return [
        {
            "name": f"an audit (pgd, noise; {CLIPS} clips) against a bare loop of the same passes",
            "value": statistics.median(ratios),
            "bar": 0.85,
            "better": "higher",
            "note": f"processor time, {min(ratios):.2f} to {max(ratios):.2f}",
        },
        {
            "name": "the forecast of that audit: seconds off, as a share of what it took",
            "value": abs(expected / spent - 1),
            "bar": 0.3,
            "better": "lower",
            "note": f"{expected:.1f} s for {spent:.1f} s; all {counted.cost.forwards} forward"
            f" and {counted.cost.backwards} backward passes were foretold",
        },
    ]


def rows(one: Audit, indices: Sequence[int]) -> list[bytes]:
    """The evidence of a chunk, as it is written."""
    clean = one.clean(indices)
    found = [
        point
        for number, attack in enumerate(one.attacks)
        for point in one.points(number, attack.strengths, clean)
    ]
    return [
        AuditRow(
            index=index,
            clip=one.clips.facts(index).name,
            label=None,
            speaker=None,
            gender=None,
            duration_s=SECONDS,
            clean=clean[index],
            attacked=[point.outcomes[index] for point in found],
        )
        .model_dump_json()
        .encode()
        for index in indices
    ]


def bare(victim: SpectrogramVictim, clips: NoiseClips, indices: Sequence[int]) -> None:
    """As many passes through the same networks."""
    x: Tensor = torch.stack([victim.features(clips.log_mels(index)) for index in indices])
    y = torch.zeros(len(x), dtype=torch.int64)
    each = total(ATTACKS, 1, len(victim.labels))
    with frozen(victim.net), frozen(victim.scorer), full_float32():
        for _ in range(each.backwards):
            leaf = x.requires_grad_(True)
            torch.autograd.grad(functional.cross_entropy(victim.net(leaf), y), leaf)
        with torch.no_grad():
            for _ in range(each.forwards - each.backwards):
                victim.scorer(x)


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds that it takes: on the clock, and of the processor."""
    began, busy = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - began, time.process_time() - busy


def check(foretold: Cost, made: Cost) -> None:
    """A forecast tells passes exactly; those that are queries are among them."""
    if (foretold.forwards, foretold.backwards) != (made.forwards, made.backwards):
        raise RuntimeError(f"the forecast was {foretold}, and the audit has made {made}")
