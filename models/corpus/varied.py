"""Recordings that sound otherwise each time they are learnt from.

Each corruption that a training varies its data with is applied to a share of the clips, at one of
its strengths; a clip that is longer than the window begins anywhere. What is drawn follows from the
seed, the iteration and the place in the batch alone, so a resumed training hears what it would have
heard.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from models.audio import level_range
from models.audio.level import active_level_dbfs
from models.corpus.dataset import Dataset
from models.corruptions import Corruption
from models.features import LogMel, Standardizer, tile
from models.front_ends import FrontEnd
from models.rng import generator

CLIPS_FOR_STATISTICS: Final = 1_000
"""Of the z-score: the deviation of a band is then known to about 2 %, whatever the speaker."""


class Decoded:
    """Recordings, kept as 16-bit samples once they were read, as far as memory is granted.

    Args:
        read: the samples of the clip of this index, (n,) float32 at 16 kHz, full scale 1.
        most_bytes: that are kept. Further recordings are read each time.
    """

    def __init__(self, read: Callable[[int], Tensor], most_bytes: int = 1 << 30) -> None:
        self._read = read
        self._left = most_bytes
        self._kept: dict[int, npt.NDArray[np.int16]] = {}

    def __call__(self, index: int) -> Tensor:
        """Samples of a clip, (n,) float32; rounded to 16 bits, whether they were kept or not."""
        kept = self._kept.get(index)
        if kept is None:
            scaled = (self._read(index) * 32768).round().clamp(-32768, 32767)
            kept = scaled.numpy().astype(np.int16)
            if kept.nbytes <= self._left:
                self._left -= kept.nbytes
                self._kept[index] = kept
        return torch.from_numpy(kept.astype(np.float32) / 32768)


@dataclass(frozen=True)
class VariedDataset:
    """Labelled recordings, corrupted anew for each batch; see the module.

    Attributes:
        recordings: samples by the index of the clip.
        labels: (clips,), int64, on the device of the training.
        front_end: of the network.
        augment: what the recordings are varied with, in this order.
        share: of the clips that each of these is applied to.
        seed: of the training.
    """

    recordings: Callable[[int], Tensor]
    labels: Tensor
    front_end: FrontEnd
    augment: Sequence[Corruption]
    share: float
    seed: int
    log_mel: LogMel = field(default_factory=LogMel)

    def __len__(self) -> int:
        return len(self.labels)

    def batch(
        self, clips: Tensor, frames: int, iteration: int, first: int = 0
    ) -> tuple[Tensor, Tensor]:
        """See :meth:`models.corpus.dataset.Dataset.batch`; ``first`` is the place of the first of
        these clips in the batch of the iteration."""
        rows = []
        for place, clip in enumerate(clips.tolist(), start=first):
            draws = generator(self.seed, place, f"augment/{iteration}")
            rows.append(_window(self._heard(self._varied(clip, draws)), frames, draws))
        labels = self.labels[clips.to(self.labels.device)]
        return torch.stack(rows).to(labels.device), labels

    def to(self, device: torch.device | str) -> "VariedDataset":
        """The same clips, whose batches lie on another device."""
        return replace(self, labels=self.labels.to(device))

    def standardizer(self) -> Standardizer:
        """Mean and standard deviation of each mel band over clips as they are learnt from.

        Raises:
            ValueError: there are fewer than two frames, or a band is the same in all of them.
        """
        heard = [self._heard(samples) for samples in self._sampled()]
        lengths = torch.tensor([0, *map(len, heard)]).cumsum(0)
        return Dataset(torch.cat(heard), lengths, torch.zeros(len(heard))).standardizer()

    def levels_dbfs(self) -> tuple[float, float] | None:
        """Between which levels clips lie as they are learnt from, see `models.audio.level_range`;
        of the clips that the z-score is taken of."""
        return level_range(active_level_dbfs(samples.numpy()) for samples in self._sampled())

    def _sampled(self) -> Iterator[Tensor]:
        """Some clips, as they are learnt from: always the same."""
        order = torch.randperm(len(self), generator=torch.Generator().manual_seed(self.seed))
        for place, clip in enumerate(order[:CLIPS_FOR_STATISTICS].tolist()):
            yield self._varied(clip, generator(self.seed, place, "augment/statistics"))

    def _varied(self, clip: int, draws: torch.Generator) -> Tensor:
        """A corrupted recording, (n,) float32."""
        samples = self.recordings(clip)
        for corruption in self.augment:
            if float(torch.rand((), generator=draws)) < self.share:
                chosen = int(torch.randint(len(corruption.strengths), (), generator=draws))
                samples = corruption.corrupt(samples, corruption.strengths[chosen], draws)
        return samples

    def _heard(self, samples: Tensor) -> Tensor:
        """What the front end makes of a recording, (n, 64)."""
        return self.front_end(self.log_mel(samples))


def _window(heard: Tensor, frames: int, draws: torch.Generator) -> Tensor:
    """So many frames of a clip, from anywhere in it if it has more, (frames, 64)."""
    longer = len(heard) - frames
    if longer > 0:
        first = int(torch.randint(longer + 1, (), generator=draws))
        heard = heard[first : first + frames]
    return tile(heard, frames)
