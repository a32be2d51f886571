"""What a table of a study is: typed figures, and how they are laid out for people and programs.

Each is a pydantic model, which is its JSON. For people it gives sheets, which Markdown and LaTeX
are rendered from; for programs it gives records, the lines of one CSV with all tables.
"""

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from models.audit.figure import Figure, Figures
from models.studies.answers import Missing
from models.studies.estimate import Difference, Estimate

NOTHING: Final = "–"
"""Where there is no figure."""


@dataclass(frozen=True)
class Sheet:
    """A table as people read it: text, which a renderer escapes.

    Attributes:
        name: of lower-case letters, digits and hyphens; one in a study.
        notes: below it, sentences.
    """

    name: str
    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Record:
    """A figure as programs read it: a line of the CSV. What does not apply is None.

    Attributes:
        table: that it stands in.
        of: what it counts where that is no model, such as an emotion.
        against: what a difference is taken from, or the source of a transfer.
        figure: what ``value`` is.
    """

    table: str
    of: str | None = None
    architecture: str | None = None
    training: str | None = None
    trained_epsilon: float | None = None
    seed: int | None = None
    partition: str | None = None
    condition: str | None = None
    epsilon: float | None = None
    against: str | None = None
    figure: str
    value: float | str | None = None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    n_speakers: int | None = None
    n_seeds: int | None = None
    drawn: str | None = None
    trained_on: str | None = None
    p: float | None = None
    p_holm: float | None = None
    z_p: float | None = None
    paper: float | None = None
    missing: str | None = None


class StudyTable(Figures):
    """Base of all of them.

    Class attributes:
        name: of the field in a study's result, and of its records.
    """

    name: ClassVar[str]

    @abstractmethod
    def sheets(self) -> Iterator[Sheet]:
        """For people."""

    @abstractmethod
    def records(self) -> Iterator[Record]:
        """For programs."""


class Entry(Figures):
    """A place of a table: a figure, or why there is none."""

    estimate: Estimate | None = None
    missing: str | None = None
    paper: float | None = None

    @classmethod
    def of(cls, found: Estimate | Missing, paper: float | None = None) -> "Entry":
        """A figure, or the reason that there is none."""
        if isinstance(found, Missing):
            return cls(missing=found.reason, paper=paper)
        return cls(estimate=found, paper=paper)

    @property
    def lacking(self) -> list[str]:
        """Why seeds that the study has are not in the figure."""
        return [] if self.estimate is None else self.estimate.lacking

    @property
    def text(self) -> str:
        """Such as ".826 [.79, .85]"."""
        if self.estimate is None:
            return NOTHING
        return f"{number(self.estimate.value)} {interval(self.estimate.interval)}".rstrip()

    def record(self) -> dict[str, Any]:
        """Its part of a record."""
        one = self.estimate
        if one is None:
            return {"figure": "uar", "missing": self.missing, "paper": self.paper}
        low, high = one.interval or (None, None)
        return {
            "figure": "uar",
            "value": one.value,
            "low": low,
            "high": high,
            "n": one.n,
            "n_speakers": one.n_speakers,
            "n_seeds": len(one.seeds),
            "drawn": one.drawn,
            "trained_on": one.trained_on,
            "paper": self.paper,
            "missing": "; ".join(self.lacking) or None,
        }


def difference_record(found: Difference | None) -> dict[str, Any]:
    """The part of a record that a difference gives."""
    if found is None:
        return {"figure": "uar difference"}
    low, high = found.interval or (None, None)
    return {
        "figure": "uar difference",
        "value": found.value,
        "low": low,
        "high": high,
        "n": found.n,
        "n_speakers": found.n_speakers,
        "drawn": found.drawn,
        "trained_on": found.trained_on,
        "p": found.p,
        "p_holm": found.p_holm,
        "z_p": found.z_p,
    }


def figure_record(figure: str, found: Figure | None) -> dict[str, Any]:
    """The part of a record that a figure of an audit gives."""
    if found is None:
        return {"figure": figure}
    low, high = found.interval or (None, None)
    return {
        "figure": figure,
        "value": found.value,
        "low": low,
        "high": high,
        "n": found.n,
        "n_speakers": found.n_speakers,
    }


def number(value: float | None, digits: int = 3) -> str:
    """A share as the paper writes it, such as ".826"."""
    if value is None:
        return NOTHING
    text = f"{abs(value):.{digits}f}"
    sign = "−" if value < 0 and float(text) else ""
    return sign + (text[1:] if text.startswith("0.") else text)


def interval(found: tuple[float, float] | None, digits: int = 2) -> str:
    """Such as "[.79, .85]"; "" for none."""
    return "" if found is None else f"[{number(found[0], digits)}, {number(found[1], digits)}]"


def difference(found: Difference) -> str:
    """Such as "+.031 [.008, .054]": two digits would not tell on which side of 0 an end lies."""
    sign = "+" if found.value > 0 else ""
    return f"{sign}{number(found.value)} {interval(found.interval, 3)}".rstrip()


def probability(p: float | None) -> str:
    """Such as ".012" or "< .001"."""
    if p is None:
        return NOTHING
    return "< .001" if p < 0.001 else number(p)


def strength(epsilon: float | None) -> str:
    """An ε such as ".02"; of none the dash."""
    return NOTHING if epsilon is None else number(epsilon, 2 if round(epsilon, 2) == epsilon else 4)


def reasons(entries: list[tuple[str, Entry]]) -> tuple[str, ...]:
    """Why places of a table have a dash or lack a seed, each reason once with its places."""
    where: dict[str, list[str]] = {}
    for place, entry in entries:
        for reason in [entry.missing] if entry.missing else entry.lacking:
            where.setdefault(str(reason), []).append(place)
    return tuple(f"{_listed(places)}: {reason}." for reason, places in where.items())


def stand_ins(tests: Iterable[tuple[str, Estimate | Difference | None]]) -> Iterator[str]:
    """A note where test figures are not of models that were trained on train and dev.

    Args:
        tests: figures of test clips, each with its place.
    """
    told = [(place, one.trained_on) for place, one in tests if one is not None]
    places = [place for place, trained_on in told if trained_on == "train"]
    if places:
        every = len(places) == len(told)
        which = "All test figures" if every else f"The test figures of {_listed(places)}"
        yield (
            f"{which} are of models that were trained on train alone; the paper's are of models"
            " that were trained on train and dev."
        )


MOST_PLACES: Final = 6


def _listed(places: list[str]) -> str:
    places = list(dict.fromkeys(places))
    more = len(places) - MOST_PLACES
    return ", ".join(places[:MOST_PLACES]) + (f" and {more} more" if more > 0 else "")
