"""A corpus as the networks see it: log-mel frames of every clip, labels, fixed-size batches."""

from dataclasses import dataclass

import torch
from torch import Tensor

from models.features import Standardizer
from models.front_ends import FrontEnd


@dataclass(frozen=True)
class Dataset:
    """Log-mels of many clips, one behind the other.

    Attributes:
        features: (frames of all clips, mels), before z-scoring, any float type: log-mels, or what
            a front end made of them.
        offsets: (clips + 1,), int64: clip i has the frames offsets[i] to offsets[i + 1].
        labels: (clips,), int64.
    """

    features: Tensor
    offsets: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def subset(self, clips: Tensor) -> "Dataset":
        """The clips of these indices, (n,), in this order; frames are copied."""
        bounds = self.offsets.tolist()
        pieces = [self.features[bounds[clip] : bounds[clip + 1]] for clip in clips.tolist()]
        lengths = torch.tensor([0, *map(len, pieces)], device=self.offsets.device)
        return Dataset(torch.cat(pieces), lengths.cumsum(0), self.labels[clips])

    def clip(self, index: int) -> Tensor:
        """Frames of one clip, (n, mels)."""
        return self.features[int(self.offsets[index]) : int(self.offsets[index + 1])]

    def through(self, front_end: FrontEnd) -> "Dataset":
        """The same clips, as a network with this front end hears them."""
        heard = [front_end(self.clip(index)) for index in range(len(self))]
        lengths = torch.tensor([0, *map(len, heard)], device=self.offsets.device)
        return Dataset(torch.cat(heard), lengths.cumsum(0), self.labels)

    def batch(
        self, clips: Tensor, frames: int, _iteration: int = 0, _first: int = 0
    ) -> tuple[Tensor, Tensor]:
        """Clips tiled or cut to ``frames`` (see :func:`models.features.tile`), all in one gather.

        Args:
            clips: (batch,), indices.
            frames: of a window.
            _iteration, _first: of the training and the place in its batch; nothing is drawn here
                that could depend on them.

        Returns:
            Features (batch, frames, mels) float32, before z-scoring, and labels (batch,).
        """
        if self.offsets.is_cuda and not clips.is_cuda:
            clips = clips.pin_memory().to(self.offsets.device, non_blocking=True)  # no waiting
        start, end = self.offsets[clips], self.offsets[clips + 1]
        time = torch.arange(frames, device=self.offsets.device)
        index = start[:, None] + time % (end - start)[:, None]
        return self.features[index].float(), self.labels[clips]

    def standardizer(self) -> Standardizer:
        """Mean and standard deviation of each mel band over all frames of all clips.

        Raises:
            ValueError: there are fewer than two frames, or a band is the same in all of them.
        """
        frames = self.features.double()
        return Standardizer(frames.mean(dim=0).float(), frames.std(dim=0).float())

    def to(self, device: torch.device | str) -> "Dataset":
        """The same clips on another device."""
        return Dataset(self.features.to(device), self.offsets.to(device), self.labels.to(device))
