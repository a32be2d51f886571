"""The three networks of the paper (Sec. 3.3), by name.

Every network takes z-scored log-mels ``(batch, frames, mels)`` and answers logits
``(batch, classes)``. Any number of frames from 32 up is accepted, because each one ends in a
global pooling over time and frequency.
"""

from collections.abc import Callable
from typing import Final

from models.architectures.base import SpectrogramNet
from models.architectures.cnn4 import CNN4
from models.architectures.resnet50 import ResNet50
from models.architectures.vgg16 import VGG16

ARCHITECTURES: Final[dict[str, Callable[[int], SpectrogramNet]]] = {
    "cnn4": CNN4,
    "resnet50": ResNet50,
    "vgg16": VGG16,
}

__all__ = ["ARCHITECTURES", "CNN4", "VGG16", "ResNet50", "SpectrogramNet", "build"]


def build(name: str, n_classes: int) -> SpectrogramNet:
    """Make a freshly initialised network.

    Args:
        name: a key of ``ARCHITECTURES``.
        n_classes: number of emotions, at least two.

    Raises:
        ValueError: the name is unknown or there are fewer than two classes.
    """
    if name not in ARCHITECTURES:
        raise ValueError(f"unknown architecture {name!r}: choose one of {sorted(ARCHITECTURES)}")
    if n_classes < 2:
        raise ValueError(f"n_classes is {n_classes}: a classifier needs at least two classes")
    return ARCHITECTURES[name](n_classes)
