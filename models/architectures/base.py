"""What the three networks share: the input contract and the two ways to run them."""

from abc import ABC, abstractmethod
from typing import Final

from torch import Tensor, nn

MIN_FRAMES: Final = 32
"""Five halvings (VGG-16, ResNet-50) must leave at least one frame."""


class SpectrogramNet(nn.Module, ABC):
    """A classifier of log-mel spectrograms.

    Attributes:
        embedding_size: length of the vector before the last linear layer.
        classifier: that last layer, ``embedding_size`` → classes.
    """

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
            ValueError: ``x`` is not of rank three or has fewer than 32 frames or mel bands.
        """
        if x.ndim != 3 or min(x.shape[1:]) < MIN_FRAMES:
            raise ValueError(
                f"input has shape {tuple(x.shape)}: expected (batch, frames, mels) "
                f"with at least {MIN_FRAMES} frames and mel bands"
            )
        embedding = self.embed(x.unsqueeze(1))
        return self.classifier(embedding), embedding

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(batch, classes)`` of z-scored log-mels ``(batch, frames, mels)``."""
        return self.forward_features(x)[0]
