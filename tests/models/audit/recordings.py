"""Clips, models and attacks of audits that are small enough to work figures out by hand."""

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from models.attacks import Attack
from models.audit import Audit, AuditRow, ClipFacts, ClipPrediction
from models.audit.evidence import AttackedPrediction, SmallestStrength
from models.audit.minimum import smallest_strengths
from models.audit.perturbation import Perturbation
from models.features import MELS, LogMel, Standardizer
from models.rng import Rng
from models.victims import Cost, SpectrogramVictim, View

LABELS = ("anger", "fear", "joy")
FRAMES = 40
"""The models' window: 10,496 samples."""
STEP = 1 / 32_768


def sounds(n: int = 14) -> list[Tensor]:
    """Noise of different colours and lengths, from 1,500 samples on, in 16 bits."""
    generator = torch.Generator().manual_seed(7)
    made = []
    for number in range(n):
        order = number % 2 + 1  # of differences, each a sample shorter
        noise = torch.randn(1500 + 1423 * number + order, generator=generator)
        sound = 0.1 * noise.cumsum(0).diff(n=order)
        made.append((sound / STEP).round() * STEP)
    return made


class Recordings:
    """Clips in memory; see :class:`models.audit.Clips`.

    Args:
        waveforms: samples of each.
        labels: of each, None where it is not known; in turn if not given.
        audible: whether the audit may have the waveforms.
    """

    def __init__(
        self,
        waveforms: Sequence[Tensor],
        labels: Sequence[str | None] | None = None,
        *,
        audible: bool = True,
    ) -> None:
        self.waveforms = list(waveforms)
        self.audible = audible
        self._labels = labels or [LABELS[n % len(LABELS)] for n in range(len(self.waveforms))]
        self._features: list[Tensor] = [LogMel()(waveform) for waveform in self.waveforms]

    def __len__(self) -> int:
        return len(self.waveforms)

    def facts(self, index: int) -> ClipFacts:
        name, seconds = f"{index}.wav", len(self.waveforms[index]) / 16_000
        return ClipFacts(name, self._labels[index], "ann", "f", seconds)

    def warning_codes(self, index: int) -> tuple[str, ...]:
        return ("too_short",)

    def log_mels(self, index: int) -> Tensor:
        return self._features[index].clone()

    def waveform(self, index: int) -> Tensor:
        assert self.audible
        return self.waveforms[index].clone()

    def standardizer(self) -> Standardizer:
        frames = torch.cat(self._features)
        return Standardizer(frames.mean(dim=0), frames.std(dim=0))


class Bands(nn.Module):
    """A linear classifier of the mean frame, with dropout to tell train mode from eval mode."""

    def __init__(self, n_classes: int = 3) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(3)
        self.weight = nn.Parameter(torch.randn(n_classes, MELS, generator=generator))
        self.dropout = nn.Dropout(0.5)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.dropout(x).mean(dim=1) @ self.weight.T
        return logits


class Counting(Bands):
    """`Bands` that counts the clips that pass through it, forwards and back."""

    def __init__(self, n_classes: int = 3) -> None:
        super().__init__(n_classes)
        self.forwards = self.backwards = 0

    def forward(self, x: Tensor) -> Tensor:
        self.forwards += len(x)
        self.backwards += len(x) if torch.is_grad_enabled() else 0
        return super().forward(x)


def victim(
    clips: Recordings,
    net: nn.Module | None = None,
    labels: tuple[str, ...] = LABELS,
    windows: Literal["all", "first"] = "all",
) -> SpectrogramVictim:
    """A model of these clips' scale."""
    net = net or Bands().eval()
    return SpectrogramVictim(net, clips.standardizer(), labels, FRAMES, windows=windows)


def audit(
    *attacks: Perturbation,
    clips: Recordings | None = None,
    net: nn.Module | None = None,
    windows: Literal["all", "first"] = "all",
    labels: tuple[str, ...] = LABELS,
    **options: Any,
) -> Audit:
    """An audit of all clips in batches of four."""
    clips = clips or Recordings(sounds())
    options = {"batch": 4} | options
    return Audit(victim(clips, net, labels, windows), clips, attacks, **options)


def rows_of(one: Audit, chunk: int | None = None) -> list[AuditRow]:
    """The evidence of the whole audit, made chunk by chunk; in one if not said otherwise."""
    n = len(one.clips)
    return [
        row
        for first in range(0, n, chunk or n)
        for row in _rows(one, range(first, min(first + (chunk or n), n)))
    ]


def _rows(one: Audit, indices: Sequence[int]) -> Iterator[AuditRow]:
    clean = one.clean(indices)
    attacked: dict[int, list[AttackedPrediction]] = {index: [] for index in indices}
    smallest: dict[int, list[SmallestStrength]] = {index: [] for index in indices}
    for number, attack in enumerate(one.attacks):
        for point in one.points(number, attack.strengths, clean):
            for index, outcome in point.outcomes.items():
                attacked[index].append(outcome)
        if attack.minimum:
            own = {i: [o for o in attacked[i] if o.attack == number] for i in indices}
            for index, found in smallest_strengths(one, number, clean, own).items():
                smallest[index].append(found)
    for index in indices:
        facts = one.clips.facts(index)
        yield AuditRow(
            index=index,
            clip=facts.name,
            label=facts.label,
            speaker=facts.speaker,
            gender=facts.gender,
            duration_s=facts.duration_s,
            clean=clean[index],
            attacked=attacked[index],
            minimum=smallest[index],
        )


def attacked(
    one: Audit, number: int = 0, clean: dict[int, ClipPrediction] | None = None
) -> list[list[AttackedPrediction]]:
    """What an attack does to all clips: for each of its strengths their outcomes in order."""
    clean = clean or one.clean(range(len(one.clips)))
    strengths = one.attacks[number].strengths
    return [
        [point.outcomes[index] for index in sorted(clean)]
        for point in one.points(number, strengths, clean)
    ]


def inputs(one: Audit, number: int = 0) -> list[list[Tensor]]:
    """What was scored: for each strength the clips' inputs in order."""
    clean = one.clean(range(len(one.clips)))
    strengths = one.attacks[number].strengths
    return [
        [point.inputs[index] for index in sorted(clean)]
        for point in one.points(number, strengths, clean)
    ]


class Shift(Attack):
    """Moves every value by as much as it likes, whatever the radius, and asks for nothing."""

    type: Literal["shift"] = "shift"
    by: float = 1.0

    def run_cost(self, n_classes: int) -> Cost:
        return Cost()

    def run(self, view: View, x: Tensor, y: Tensor, radius: Tensor, rng: Rng) -> Tensor:
        return x + self.by


class Nothing(Shift):
    """Moves nothing."""

    control: ClassVar[bool] = False

    def run(self, view: View, x: Tensor, y: Tensor, radius: Tensor, rng: Rng) -> Tensor:
        return x.clone()
