"""``logmel-1``: the log-mels as they are (the paper's, Sec. 4.2).

The floor is that of the logarithm, ln(1e-8): digital silence lies five to nine standard deviations
below speech, and a recording's level is part of what a network sees.
"""

from typing import ClassVar

import torch
from torch import Tensor

from models.front_ends.front_end import FRONT_ENDS, FrontEnd


class LogMel1(FrontEnd):
    """Nothing is changed, and every frame is heard."""

    name: ClassVar[str] = "logmel-1"
    definition: ClassVar[str] = "the log-mels as they are, as in the paper"
    looks_at_all: ClassVar[bool] = False

    def frames(self, log_mels: Tensor) -> Tensor:
        """See :class:`FrontEnd`."""
        return log_mels

    def heard(self, log_mels: Tensor) -> Tensor:
        """See :class:`FrontEnd`."""
        return torch.arange(len(log_mels), device=log_mels.device)

    def undone(self, log_mels: Tensor, change: Tensor) -> Tensor:
        """See :class:`FrontEnd`."""
        return torch.cat([change, change.new_zeros(len(log_mels) - len(change), change.shape[1])])

    def __call__(self, log_mels: Tensor) -> Tensor:
        """See :class:`FrontEnd`; without a copy."""
        return log_mels


FRONT_ENDS.register(LogMel1.name)(LogMel1())
