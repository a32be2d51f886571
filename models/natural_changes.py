"""What becomes of a model's answers when something happens to the recordings, without an adversary.

The answers are those of the service: of all windows of a recording, averaged.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from models import metrics
from models.corruptions import Corruption
from models.rng import generator
from models.victims import SpectrogramVictim


@dataclass(frozen=True)
class Change:
    """One corruption at one strength, over ``clips`` recordings.

    Attributes:
        corruption: in words.
        strength, unit: of the corruption.
        changed: share of the recordings whose label is another.
        broken: share of those that were right and are wrong; None if none was right.
        right_before: how many were right.
        accuracy, uar: of the corrupted recordings.
    """

    corruption: str
    strength: float
    unit: str
    clips: int
    changed: float
    broken: float | None
    right_before: int
    accuracy: float
    uar: float

    def to_dict(self) -> dict[str, Any]:
        """For a configuration, to four digits."""
        return {
            name: round(value, 4) if isinstance(value, float) else value
            for name, value in asdict(self).items()
        }


def changes(
    victim: SpectrogramVictim,
    recordings: Sequence[Callable[[], Tensor]],
    labels: Sequence[int],
    corruptions: Sequence[Corruption],
    seed: int = 0,
) -> list[Change]:
    """The figures of each corruption at each strength.

    Args:
        victim: the model.
        recordings: each gives the samples of a clip, (n,) float32 at 16 kHz.
        labels: of the recordings, as the model counts them.
        corruptions: in the order of the answer.
        seed: of their draws.
    """
    points = [(one, strength) for one in corruptions for strength in one.strengths]
    clean = torch.empty(len(recordings), dtype=torch.int64)
    corrupted = torch.empty(len(points), len(recordings), dtype=torch.int64)
    for clip, read in enumerate(recordings):
        samples = read()
        clean[clip] = label(victim, samples)
        for row, (corruption, strength) in enumerate(points):
            draws = generator(seed, clip, corruption.identity())
            corrupted[row, clip] = label(victim, corruption.corrupt(samples, strength, draws))
    truth = torch.tensor(labels)
    return [
        _change(*point, truth, clean, answers, len(victim.labels))
        for point, answers in zip(points, corrupted, strict=True)
    ]


def label(victim: SpectrogramVictim, samples: Tensor) -> Tensor:
    """What the model hears in a recording, (n,): the number of the label."""
    x = victim.waveform(samples)[None]
    return victim.view("waveform").scores(x)[0].argmax().cpu()


def _change(
    corruption: Corruption,
    strength: float,
    truth: Tensor,
    clean: Tensor,
    answers: Tensor,
    n_classes: int,
) -> Change:
    right = clean == truth
    broken = answers[right] != truth[right]
    return Change(
        corruption=corruption.describe(),
        strength=strength,
        unit=corruption.unit,
        clips=len(truth),
        changed=float((answers != clean).float().mean()),
        broken=float(broken.float().mean()) if len(broken) else None,
        right_before=int(right.sum()),
        accuracy=float((answers == truth).float().mean()),
        uar=metrics.uar(truth, answers, n_classes),
    )
