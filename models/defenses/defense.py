"""What every defence is: a training loss, its parameters with their bounds, what it trains on."""

from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, PrivateAttr
from torch import Tensor
from torch.nn import functional

from models.architectures import SpectrogramNet
from models.defenses.adversary import Adversary
from models.registry import Registry

Inputs = Literal["clean", "attack", "own"]
"""What a defence trains on: clean data alone, adversarial data of the training's attack, or
adversarial data that it crafts itself."""


class Defense(BaseModel):
    """Base of all defences. A subclass declares ``type``, its parameters and :meth:`loss`.

    Parameters are strict: a number is no string, and true is no number.

    Class attributes:
        inputs: what it trains on. A training with a defence of its ``own`` takes no attack.
        fuses: whether it has a :meth:`fused_loss`.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, validate_default=True
    )

    inputs: ClassVar[Inputs] = "attack"
    fuses: ClassVar[bool] = False

    type: str

    _class_weights: Tensor | None = PrivateAttr(None)

    def weighing(self, class_weights: Tensor | None) -> Self:
        """The same defence, for a training whose classes weigh so much in each cross-entropy.

        Args:
            class_weights: (classes,), on the device of the training; None if all weigh the same.
        """
        weighing = self.model_copy()
        weighing._class_weights = class_weights  # noqa: SLF001  (of its own class)
        return weighing

    def cross_entropy(self, logits: Tensor, y: Tensor) -> Tensor:
        """Mean over the batch of -log p(y), each clip times the weight of its class, a scalar.

        The sum is divided by the clips and not by their weights: so the gradient is, on average
        over batches, that of the whole corpus, and the mean of two halves is that of the batch.

        Args:
            logits: (batch, classes).
            y: labels, (batch,), int64.
        """
        if self._class_weights is None:
            return functional.cross_entropy(logits, y)
        each = functional.cross_entropy(logits, y, self._class_weights, reduction="none")
        return each.mean()

    def loss(self, net: SpectrogramNet, x: Tensor, y: Tensor, adversary: Adversary) -> Tensor:
        """What a step minimises, a scalar.

        Args:
            net: in train mode: each call of it updates the statistics of batch norm, so clean and
                adversarial clips pass in separate forwards, each normalised by its own statistics
                (as in the authors' reference code).
            x: clean input, (batch, frames, mels), z-scored.
            y: labels, (batch,), int64.
            adversary: makes adversarial inputs on the network as it is; ask it first.
        """
        raise NotImplementedError

    def fused_loss(self, net: SpectrogramNet, x: Tensor, y: Tensor, adversary: Adversary) -> Tensor:
        """The same loss, whose adversarial inputs follow the gradient of the clean pass in train
        mode (docs/fused-crafting.md).

        Gradients that this pass leaves behind are added to those of the weights, which the caller
        has cleared; those of the returned scalar are the rest.

        Args: see :meth:`loss`; of the adversary, :meth:`Adversary.along` is asked.
        """
        raise NotImplementedError


DEFENSES: Final[Registry[Defense]] = Registry("defense", default="single")
"""What a training can defend with, by type."""

AnyDefense = Annotated[Defense, DEFENSES]
"""A defence in a request: the discriminated union of all that are registered."""
