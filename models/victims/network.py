"""A network as it is at this moment: the view of whoever trains it and attacks it by turns.

Unlike :class:`models.victims.SpectrogramVictim` it copies nothing and serves nothing: what it
answers follows every change of the weights. It leaves the precision to the training, which may
round.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from models.architectures import SpectrogramNet
from models.freezing import frozen
from models.objectives import Objective
from models.threats import Domain
from models.victims.victim import Gradient


class NetworkView:
    """z-scored log-mels of a network's window; see :class:`models.victims.victim.View`.

    Args:
        net: on any device, in any mode; every answer is in eval mode and leaves it as it was.
    """

    domain: Domain = "features"

    def __init__(self, net: SpectrogramNet) -> None:
        self._net = net

    @property
    def labels(self) -> tuple[str, ...]:
        """The classes by number: a training knows their names, and its attacks need none."""
        return tuple(map(str, range(self._net.classifier.out_features)))

    def scores(self, x: Tensor) -> Tensor:
        """Logits (batch, classes) of x (batch, frames, mels)."""
        with torch.no_grad(), frozen(self._net):
            logits: Tensor = self._net(x)
        return logits

    def gradient(self, x: Tensor, objective: Objective) -> Gradient:
        """The gradient of an objective at ``x``."""
        return self.rise(x, objective.values)

    def rise(self, x: Tensor, values: Callable[[Tensor], Tensor]) -> Gradient:
        """The gradient of any loss of the logits, (batch, classes) → (batch,), at ``x``."""
        with torch.enable_grad(), frozen(self._net):
            leaf = x.detach().requires_grad_(True)
            logits = self._net(leaf)
            losses = values(logits)
            (gradient,) = torch.autograd.grad(losses.sum(), leaf)
        return Gradient(gradient, losses.detach(), logits.detach())

    def subset(self, index: Tensor) -> "NetworkView":
        """The same view: nothing in it belongs to a clip."""
        return self

    def other(self, model: str) -> "NetworkView":
        """A training knows no other model.

        Raises:
            LookupError: always.
        """
        raise LookupError(f"a training has no model {model!r} to attack beside its own")
