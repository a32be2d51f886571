"""What an audit says of its clips, as far as a comparison needs it: some nine bytes a clip and
point.

A comparison holds the rows of several audits at once. So it reads them one by one and keeps what
the model was right on, what was broken and what flipped.
"""

import json
from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Protocol

import numpy as np

from models.audit.intervals import Bools, Ints
from models.audit.result import AttackOfResult, Threat
from models.audit.table import UNKNOWN, Names

NOT_SCORED: Final = -2
"""In place of a success: the audit did not come to the clip."""


class Said(Protocol):
    """What the model says of a clip."""

    @property
    def label(self) -> str:
        """The class."""


class SaidUnderAttack(Said, Protocol):
    """What it says under one attack at one strength; see
    :class:`models.audit.evidence.AttackedPrediction`."""

    @property
    def attack(self) -> int:
        """Index in the result's `attacks`."""

    @property
    def strength(self) -> float:
        """In the unit of its threat model."""

    @property
    def success(self) -> bool | None:
        """Null if the model was wrong before, or the clip has the target label already."""


class Row(Protocol):
    """What is read of :class:`models.audit.evidence.AuditRow`."""

    @property
    def index(self) -> int:
        """Of the row."""

    @property
    def clip(self) -> str:
        """Its name."""

    @property
    def label(self) -> str | None:
        """Its emotion, if that is known."""

    @property
    def speaker(self) -> str | None:
        """Who speaks, if that is known."""

    @property
    def clean(self) -> Said:
        """The clip as it is."""

    @property
    def attacked(self) -> Sequence[SaidUnderAttack]:
        """By attack and strength."""


@dataclass(frozen=True)
class PointKey:
    """An attack or a corruption at a strength, by what makes it this one and no other.

    Attributes:
        parameters: as JSON with sorted names, strengths left out.
        control: whether it has no adversary.
    """

    type: str
    parameters: str
    domain: str
    norm: str
    unit: str
    strength: float
    control: bool

    @classmethod
    def of(cls, attack: AttackOfResult, strength: float) -> "PointKey":
        """Of an attack of a result."""
        told = json.dumps(attack.parameters, sort_keys=True)
        threat = attack.threat
        return cls(
            attack.type, told, threat.domain, threat.norm, threat.unit, strength, attack.control
        )

    @property
    def threat(self) -> Threat:
        """What it may change."""
        return Threat(domain=self.domain, norm=self.norm, unit=self.unit)


ClipKey = tuple[str, str | None, int]
"""Name, label, and which of the clips with both: a clip with another label is another one."""


class Outcomes:
    """Takes the rows of an audit in, and gives columns.

    Args:
        name: of the audit, for sentences.
        labels: of the model.
        attacks: of the result.
        points: of its curve: the index of the attack, and the strength.

    Attributes:
        labels: sorted, so that models which list them in another order agree on their numbers.
        keys: of the points, in the order of the curve.
        places: of the clips among all, by what they are known by.
        clips: their names.
    """

    def __init__(
        self,
        name: str,
        labels: Sequence[str],
        attacks: Sequence[AttackOfResult],
        points: Sequence[tuple[int, float]],
    ) -> None:
        self.name = name
        self.labels = sorted(labels)
        self.keys = [PointKey.of(attacks[attack], strength) for attack, strength in points]
        self.speakers = Names()
        self.places: dict[ClipKey, int] = {}
        self.clips: list[str] = []
        self._class_of = {label: number for number, label in enumerate(self.labels)}
        self._place_of = {point: place for place, point in enumerate(points)}
        self._seen: Counter[tuple[str, str | None]] = Counter()
        self._index, self._truth, self._before, self._speaker = (array("i") for _ in range(4))
        self._labelled = array("b")
        self._clip = [array("i") for _ in points]
        self._after = [array("i") for _ in points]
        self._success = [array("b") for _ in points]

    def __len__(self) -> int:
        return len(self._index)

    def add(self, row: Row, clip: str | None = None) -> None:
        """Count a clip.

        Args:
            clip: what it is known by in place of its name, such as the SHA-256 of its file.
        """
        named = (row.clip if clip is None else clip, row.label)
        number = len(self)
        self.places[*named, self._seen[named]] = number
        self._seen[named] += 1
        self.clips.append(row.clip)
        before = self._class_of[row.clean.label]
        self._index.append(row.index)
        self._truth.append(before if row.label is None else self._class_of[row.label])
        self._before.append(before)
        self._labelled.append(row.label is not None)
        self._speaker.append(self.speakers.number(row.speaker))
        for one in row.attacked:
            place = self._place_of[one.attack, one.strength]
            self._clip[place].append(number)
            self._after[place].append(self._class_of[one.label])
            self._success[place].append(UNKNOWN if one.success is None else one.success)

    @cached_property
    def index(self) -> Ints:
        """Of the rows, (clips,)."""
        return _numbers(self._index)

    @cached_property
    def truth(self) -> Ints:
        """The labels, (clips,); of a clip without one the clean prediction."""
        return _numbers(self._truth)

    @cached_property
    def before(self) -> Ints:
        """The clean predictions, (clips,)."""
        return _numbers(self._before)

    @cached_property
    def labelled(self) -> Bools:
        """Which clips have a label, (clips,)."""
        return _numbers(self._labelled) > 0

    @cached_property
    def speaker(self) -> Ints:
        """Numbers of speakers, (clips,); -1 if not known."""
        return _numbers(self._speaker)

    def after(self, place: int) -> Ints:
        """The predictions at a point, (clips,); -1 where the audit did not come to the clip."""
        return self._spread(place, self._after[place], UNKNOWN)

    def success(self, place: int) -> Ints:
        """1 where an attack reached its goal, 0 where not, -1 where success is not counted, and
        `NOT_SCORED`, (clips,)."""
        return self._spread(place, self._success[place], NOT_SCORED)

    def _spread(self, place: int, values: "array[Any]", missing: int) -> Ints:
        found = np.full(len(self), missing)
        found[_numbers(self._clip[place])] = _numbers(values)
        return found


def _numbers(values: "array[Any]") -> Ints:
    return np.array(values, dtype=np.int64)
