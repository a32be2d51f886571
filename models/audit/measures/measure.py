"""What a measure is: it reads the evidence of a point and gives a figure.

A point is one attack at one strength. A figure has its interval and its n: without them it is half
of one. A measure is one class in one file of this folder, registered by its name; the result, the
report, the command line and `docs/measures.md` show whatever is registered.
"""

from abc import ABC, abstractmethod
from typing import ClassVar, Final, Literal

from models.audit.figure import Figure, mean, share
from models.audit.intervals import Bools, Floats
from models.audit.table import Table
from models.catalogue import Catalogue

Where = Literal["clean", "point", "worst_case"]
"""What a measure may be taken of: the clips as they are, a point of the curve, or each clip under
whichever attack breaks it."""


class Defined:
    """What stands in `docs/measures.md`.

    Class attributes:
        name: of the figure, or of several that belong together.
        definition: a sentence or two, for the documents and the command line.
        formula: what is computed, of p (scores), y (true class), ŷ (clean prediction) and ŷ′
            (prediction under the attack).
        source: where it is from, and what it is called there.
        version: raised when the same rows would give another figure.
    """

    name: ClassVar[str]
    definition: ClassVar[str]
    formula: ClassVar[str]
    source: ClassVar[str]
    version: ClassVar[int] = 1


class Measure(Defined, ABC):
    """One figure.

    Class attributes:
        taken_of: where it is shown.
        of_detector: whether it is taken only where the model's detector was asked.
    """

    taken_of: ClassVar[tuple[Where, ...]] = ("point",)
    of_detector: ClassVar[bool] = False

    @abstractmethod
    def figure(self, clips: Table) -> Figure:
        """Of these clips."""


MEASURES: Final[Catalogue[type[Measure]]] = Catalogue("measure")
"""What is taken of every point, by name."""


class Breakdown(Defined):
    """Several figures that belong together, such as those of all groups of clips.

    Class attributes:
        shown_in: the field of the result.
    """

    shown_in: ClassVar[str]


BREAKDOWNS: Final[Catalogue[type[Breakdown]]] = Catalogue("breakdown")
"""What else is taken, by name."""


def figures(clips: Table, where: Where) -> dict[str, Figure]:
    """All figures that are taken there."""
    return {
        name: measure().figure(clips)
        for name, measure in MEASURES.items()
        if where in measure.taken_of and (clips.alarm is not None or not measure.of_detector)
    }


class Share(Measure):
    """A measure that is a share of some clips; its interval is Wilson's."""

    @abstractmethod
    def of(self, clips: Table) -> Bools:
        """Which clips are counted at all, (clips,)."""

    @abstractmethod
    def counted(self, clips: Table) -> Bools:
        """Which of them have the property, (clips,)."""

    def figure(self, clips: Table) -> Figure:
        """See :class:`Measure`."""
        return share(self.counted(clips), self.of(clips), clips.speaker)


class Mean(Measure):
    """A measure that is a mean over some clips; speakers are drawn for its interval."""

    @abstractmethod
    def of(self, clips: Table) -> Bools:
        """Which clips are counted at all, (clips,)."""

    @abstractmethod
    def values(self, clips: Table) -> Floats:
        """The value of each clip, (clips,)."""

    def figure(self, clips: Table) -> Figure:
        """See :class:`Measure`."""
        of = self.of(clips)
        return mean(self.values(clips)[of], clips.speaker[of])
