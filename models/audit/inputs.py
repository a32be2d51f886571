"""A chunk of an audit's clips as batches: those of one shape together, none larger than allowed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from models.audit.clips import Clips
from models.threats import Domain
from models.victims import SpectrogramVictim


@dataclass(frozen=True)
class Batch:
    """Clips of one shape.

    Attributes:
        indices: of the clips in the audit, (batch,).
        x: (batch, ...), on the victim's device.
    """

    indices: list[int]
    x: Tensor

    def where(self, wanted: Sequence[bool]) -> "Batch":
        """Those of the clips, in their order."""
        keep = [row for row, one in enumerate(wanted) if one]
        return Batch([self.indices[row] for row in keep], self.x[keep])


def batches(
    victim: SpectrogramVictim,
    clips: Clips,
    domain: Domain,
    indices: Sequence[int],
    most: int,
) -> Iterator[Batch]:
    """The clips as the victim's view ``domain`` takes them.

    Args:
        most: windows of the model in a batch; a clip that has more is a batch of its own.
    """
    waiting: dict[tuple[int, ...], list[tuple[int, Tensor]]] = {}
    for index in indices:
        x = _input(victim, clips, domain, index)
        shape = tuple(x.shape)
        same = waiting.setdefault(shape, [])
        same.append((index, x))
        if (len(same) + 1) * victim.windows_of(shape, domain) > most:
            yield _stacked(waiting.pop(shape))
    for rest in waiting.values():
        yield _stacked(rest)


def _input(victim: SpectrogramVictim, clips: Clips, domain: Domain, index: int) -> Tensor:
    if domain == "features":
        return victim.features(clips.log_mels(index))
    return victim.waveform(clips.waveform(index))


def _stacked(rows: list[tuple[int, Tensor]]) -> Batch:
    return Batch([index for index, _ in rows], torch.stack([x for _, x in rows]))
