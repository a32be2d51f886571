"""Several processes that train one network together, each with an equal share of every batch.

All of them hold the same network and the same clips, draw the same batches, and make the same
steps: what a step needs of the whole batch, they exchange. So many shares are one whole batch, but
for the rounding of sums. torch's ``DistributedDataParallel`` is not used: it hooks one ``forward``
and one ``backward`` a step, where a defence runs ``forward_features`` and differentiates several
times.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import torch
from torch import Tensor, distributed, nn

from models.synchronised_batch_norm import synchronised

WAIT: Final = timedelta(days=1)
"""For each other: the first process evaluates the network now and then, and the others wait. One
that dies is noticed by whoever started it, or by its broken connection."""


@dataclass(frozen=True)
class Ranks:
    """This process among those that train together.

    Attributes:
        rank: its number, from 0; the first one reports and saves.
        size: how many there are.
    """

    rank: int = 0
    size: int = 1

    def share(self, clips: int) -> slice:
        """The clips of a batch that are this process's.

        Raises:
            ValueError: so many cannot be shared equally.
        """
        if clips % self.size:
            raise ValueError(
                f"a batch of {clips} clips cannot be shared equally by {self.size} processes:"
                f" give a batch_size that is a multiple of {self.size}"
            )
        each = clips // self.size
        return slice(self.rank * each, (self.rank + 1) * each)

    def average(self, net: nn.Module, loss: Tensor) -> Tensor:
        """Make the gradients of the weights those of the whole batch's loss, and answer that loss.

        Args:
            net: whose parameters have the gradients of this share's mean loss.
            loss: that mean, a scalar.
        """
        if self.size == 1:
            return loss.detach()
        gradients = [weight.grad for weight in net.parameters() if weight.grad is not None]
        parts = [loss.detach().view(1), *(gradient.flatten() for gradient in gradients)]
        flat = torch.cat(parts)  # one message instead of hundreds
        distributed.all_reduce(flat)
        flat /= self.size
        whole, *averaged = torch.split(flat, [len(part) for part in parts])
        for gradient, values in zip(gradients, averaged, strict=True):
            gradient.copy_(values.view(gradient.shape))
        return whole.squeeze(0)


ALONE: Final = Ranks()
"""One process with whole batches."""


@contextmanager
def joined(
    net: nn.Module, *, address: str = "env://", rank: int = -1, size: int = -1
) -> Iterator[Ranks]:
    """Meet the other processes, and train a network with them until this is left.

    Args:
        net: this process's, whose batch norms speak with those of the others meanwhile. GPUs talk
            through NCCL, CPUs through gloo.
        address: where they meet: ``env://`` is what torchrun has said, ``file://PATH`` a file that
            is not there yet, for processes of one machine.
        rank, size: see :class:`Ranks`; told by torchrun with ``env://``.

    Raises:
        ValueError: the network cannot be trained so.
    """
    device = next(net.parameters()).device
    distributed.init_process_group(
        "nccl" if device.type == "cuda" else "gloo",
        init_method=address,
        timeout=WAIT,
        rank=rank,
        world_size=size,
    )
    try:
        with synchronised(net):
            yield Ranks(distributed.get_rank(), distributed.get_world_size())
    finally:
        distributed.destroy_process_group()
