"""Batches in which each emotion is as frequent as any other, whatever the corpus is like."""

import torch
from torch import Tensor

from models.rng import generator


class BalancedBatches:
    """Draws batches in which the numbers of clips of two emotions differ by one at most.

    Emotions take turns, also over the end of a batch. The clips of an emotion come in a random
    order, each once, then in another order, and so on; those of a rare emotion come more often.

    Args:
        labels: of the clips, (clips,), int64. A class without a clip has no turn.
        batch_size: clips of one.
        seed: of the orders.
    """

    def __init__(self, labels: Tensor, batch_size: int, seed: int) -> None:
        labels = labels.cpu()  # once: a GPU would be waited for in each iteration
        self._members = [
            (labels == label).nonzero().squeeze(1) for label in sorted(set(labels.tolist()))
        ]
        self._batch_size = batch_size
        self._seed = seed

    def indices(self, iteration: int) -> Tensor:
        """The clips of one iteration, which follow from the seed and the iteration alone.

        Returns:
            (batch_size,), int64, on the CPU.
        """
        first = iteration * self._batch_size
        turns = range(first, first + self._batch_size)
        orders: dict[tuple[int, int], Tensor] = {}
        chosen = []
        for turn in turns:
            draw, emotion = divmod(turn, len(self._members))
            members = self._members[emotion]
            epoch, place = divmod(draw, len(members))
            if (emotion, epoch) not in orders:
                orders[emotion, epoch] = self._order(emotion, epoch)
            chosen.append(members[orders[emotion, epoch][place]])
        return torch.stack(chosen)

    def _order(self, emotion: int, epoch: int) -> Tensor:
        draws = generator(self._seed, epoch, f"balanced/{emotion}")
        return torch.randperm(len(self._members[emotion]), generator=draws)
