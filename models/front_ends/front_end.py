"""What a front end is: how the log-mels of a whole recording are made ready for the z-score.

All front ends begin with the same log-mel spectrogram (:class:`models.features.LogMel`), which is
what corpora keep; they differ in what they make of a recording's own level, floor and silence. A
front end is one class in one file of this folder, registered by its name, and a model's
configuration says which one is its own: without it the weights mean nothing.
"""

from abc import ABC, abstractmethod
from typing import Annotated, ClassVar, Final

from torch import Tensor

from models.catalogue import Catalogue, NameIn


class FrontEnd(ABC):
    """From log-mels to log-mels; without state, differentiable, on any device.

    Class attributes:
        name: in configurations, requests and documents.
        definition: the rest of a sentence that begins with the name.
        looks_at_all: what becomes of a frame depends on the whole recording, so that a part of one
            is heard otherwise than within it.
        levels_dbfs: the active levels at which it hears a recording of 16 bits as it would at any
            other; None if it hears a recording's level itself, so that the levels that were learnt
            from are those that count.
    """

    name: ClassVar[str]
    definition: ClassVar[str]
    looks_at_all: ClassVar[bool]
    levels_dbfs: ClassVar[tuple[float, float] | None] = None

    @abstractmethod
    def frames(self, log_mels: Tensor) -> Tensor:
        """What becomes of each frame.

        Args:
            log_mels: of whole recordings of one length, (..., n, 64), natural logarithm.

        Returns:
            (..., n, 64), before the z-score.
        """

    @abstractmethod
    def heard(self, log_mels: Tensor) -> Tensor:
        """Which frames of a recording, (n, 64), go on: their numbers, (m,) int64, rising, at least
        one."""

    @abstractmethod
    def undone(self, log_mels: Tensor, change: Tensor) -> Tensor:
        """The change of a recording's log-mels that changes what comes out of here.

        Args:
            log_mels: of the recording, (n, 64).
            change: of the first frames that come out of here, (k, 64), k <= m.

        Returns:
            (n, 64): 0 in frames that are not heard, and wherever no gain can bring about a change.
        """

    def __call__(self, log_mels: Tensor) -> Tensor:
        """Log-mels of a whole recording, (n, 64) → (m, 64), before the z-score."""
        return self.frames(log_mels).index_select(0, self.heard(log_mels))


FRONT_ENDS: Final[Catalogue[FrontEnd]] = Catalogue("front_end")
"""Every front end by name."""

FrontEndName = Annotated[str, NameIn(FRONT_ENDS)]


def described() -> str:
    """What there is to choose from, for requests and answers."""
    told = "; ".join(f"{name}, {one.definition}" for name, one in sorted(FRONT_ENDS.items()))
    return f"What the network hears of a recording: {told}."
