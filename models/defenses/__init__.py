"""Defences: each is one training loss, one a file.

``x_adv`` is crafted beforehand on the frozen network (:mod:`models.attacks`). Clean and
adversarial batches pass through batch norm in two separate train-mode forwards, as in the
authors' reference code, so that each is normalised by its own statistics.
"""

from collections.abc import Callable
from typing import Final

from torch import Tensor

from models.defenses.similarity import similarity
from models.defenses.single import single
from models.defenses.vanilla import vanilla

DEFENSES: Final[dict[str, Callable[..., Tensor]]] = {
    "single": single,
    "vanilla": vanilla,
    "similarity": similarity,
}
"""Every defence by the name that plans, requests and model cards use.

Each takes ``(net, x, x_adv, y)`` and its own weights; "single" needs no attack: ``(net, x, y)``.
"""

__all__ = ["DEFENSES", "similarity", "single", "vanilla"]
