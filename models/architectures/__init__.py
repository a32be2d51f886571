"""Networks, one a file: a class that registers itself with ``@ARCHITECTURES.register(name)``.

A module of this folder is found by itself. Every network takes z-scored log-mels
``(batch, frames, mels)`` and answers logits ``(batch, classes)``, for any number of frames from 32
up; see :class:`SpectrogramNet`. The three of the paper (Sec. 3.3) are among them.
"""

from typing import Annotated

from models.architectures.base import ARCHITECTURES, MIN_FRAMES, SpectrogramNet
from models.catalogue import NameIn
from models.registry import import_modules

import_modules(__name__, __path__)

Architecture = Annotated[str, NameIn(ARCHITECTURES)]
"""The name of one, in a request or a plan."""

__all__ = ["ARCHITECTURES", "MIN_FRAMES", "Architecture", "SpectrogramNet", "build"]


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
