"""Which clips of a corpus an audit draws: the same in its forecast and in its worker."""

from collections.abc import Sequence

import torch

from models.corpus.manifest import Clip
from models.corpus.sampling import stratified


def sample(clips: Sequence[Clip], labels: Sequence[str], limit: int | None, seed: int) -> list[int]:
    """The places of the clips that are audited, rising.

    Args:
        clips: of the partition, all of emotions in ``labels``.
        labels: of the model.
        limit: how many; None for all.
    """
    emotions = torch.tensor([labels.index(clip.emotion) for clip in clips])
    return stratified(emotions, limit or len(clips), seed).tolist()
