"""What all networks share: the input contract, the two ways to run them, and their catalogue."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, Final

from torch import Tensor, nn

from models.catalogue import Catalogue

MIN_FRAMES: Final = 32
"""Five halvings (VGG-16, ResNet-50) must leave at least one frame, and one mel band."""


class SpectrogramNet(nn.Module, ABC):
    """A classifier of log-mel spectrograms.

    Its parameters and persistent buffers are all that it is, and it draws no random numbers but the
    initial weights, from torch's global generator: a training that is resumed ends with the same
    weights.

    Attributes:
        mels: the number of mel bands that it is made for; None for any from 32 up.
        embedding_size: length of the vector before the last linear layer.
        classifier: that last layer, ``embedding_size`` → classes.
    """

    mels: ClassVar[int | None] = None
    embedding_size: int
    classifier: nn.Linear

    @abstractmethod
    def embed(self, images: Tensor) -> Tensor:
        """Map one-channel images ``(batch, 1, frames, mels)`` to ``(batch, embedding_size)``."""

    def forward_features(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Run the network and keep the vector that the similarity defence compares (Eq. 4).

        Args:
            x: z-scored log-mels, ``(batch, frames, mels)``.

        Returns:
            Logits ``(batch, classes)`` and the embedding ``(batch, embedding_size)``.

        Raises:
            ValueError: ``x`` is not of rank three, has fewer than 32 frames, or not the mel bands
                that the network is made for.
        """
        if x.ndim != 3 or x.shape[1] < MIN_FRAMES or not self._hears(x.shape[2]):
            bands = f"at least {MIN_FRAMES}" if self.mels is None else f"exactly {self.mels}"
            raise ValueError(
                f"input has shape {tuple(x.shape)}: expected (batch, frames, mels) "
                f"with at least {MIN_FRAMES} frames and {bands} mel bands"
            )
        embedding = self.embed(x.unsqueeze(1))
        return self.classifier(embedding), embedding

    def _hears(self, mels: int) -> bool:
        return mels >= MIN_FRAMES if self.mels is None else mels == self.mels

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(batch, classes)`` of z-scored log-mels ``(batch, frames, mels)``."""
        return self.forward_features(x)[0]


ARCHITECTURES: Final[Catalogue[Callable[[int], SpectrogramNet]]] = Catalogue("architecture")
"""Every network by name: the number of classes → the network, freshly initialised."""
