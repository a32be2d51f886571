"""What a measure is: it reads the evidence of a point, clip by clip, and gives a figure.

A point is one attack at one strength. A figure has its interval and its n: without them it is half
of one. A measure is one class in one file of this folder, registered by its name; the result, the
report and the command line show whatever is registered.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from models.audit.evidence import AttackedPrediction, AuditRow
from models.catalogue import Catalogue

CONFIDENCE: Final = 0.95


class Figure(BaseModel):
    """A number that says how sure it is."""

    model_config = ConfigDict(extra="forbid")

    value: float | None = Field(description="Null where there is nothing to take it of.")
    interval: tuple[float, float] | None = Field(description="95 %; null where there is none.")
    n: int = Field(description="Clips that it is taken of.")
    method: Literal["wilson", "normal"] = Field(
        description="Of the interval: Wilson's for a share of clips; normal for a mean over clips."
        " Both take the clips for independent, which clips of one speaker are not."
    )


class Measure(ABC):
    """One figure of one point; an instance counts one point.

    Class attributes:
        name: of the figure.
        definition: a sentence, for the documents and the command line.
    """

    name: ClassVar[str]
    definition: ClassVar[str]

    @abstractmethod
    def add(self, row: AuditRow, after: AttackedPrediction) -> None:
        """Count a clip at this point."""

    @abstractmethod
    def figure(self) -> Figure:
        """Of the clips so far."""


MEASURES: Final[Catalogue[type[Measure]]] = Catalogue("measure")
"""What is taken of every point, by name."""


class Share(Measure):
    """A measure that is a share of some clips. A subclass says of which, and what is counted."""

    def __init__(self) -> None:
        self._n = 0
        self._counted = 0

    @abstractmethod
    def counts(self, row: AuditRow, after: AttackedPrediction) -> bool | None:
        """Whether the clip has the property; None if it is not one of those."""

    def add(self, row: AuditRow, after: AttackedPrediction) -> None:
        """See :class:`Measure`."""
        counted = self.counts(row, after)
        if counted is not None:
            self._n += 1
            self._counted += counted

    def figure(self) -> Figure:
        """See :class:`Measure`."""
        return share(self._counted, self._n)


def share(counted: int, n: int) -> Figure:
    """The figure of so many out of ``n`` clips."""
    value = counted / n if n else None
    return Figure(value=value, interval=wilson(counted, n), n=n, method="wilson")


def wilson(counted: int, n: int) -> tuple[float, float] | None:
    """Wilson's score interval of a share (Wilson, JASA 1927; Brown et al., Stat. Sci. 2001, Eq. 4).

    Args:
        counted: of ``n``.

    Returns:
        The interval at 95 %; None for n = 0.
    """
    if not n:
        return None
    from scipy.stats import binomtest

    found = binomtest(counted, n).proportion_ci(CONFIDENCE, method="wilson")
    return float(found.low), float(found.high)


def normal(values: Sequence[float]) -> tuple[float, float] | None:
    """The interval of a mean by the central limit theorem; None for fewer than two values."""
    n = len(values)
    if n < 2:
        return None
    from scipy.stats import norm

    mean = sum(values) / n
    deviation = math.sqrt(sum((value - mean) ** 2 for value in values) / (n - 1))
    half = float(norm.ppf((1 + CONFIDENCE) / 2)) * deviation / math.sqrt(n)
    return mean - half, mean + half
