"""What several audits have in common: the same clips under the same attacks at the same strengths.

Figures of different clips must not be set side by side, and neither must worst cases over different
attacks. So clips that one of the audits lacks are left out of all of them, and a worst case is
taken anew over the attacks and strengths that all of them have.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, cast

import numpy as np
from pydantic import Field

from models.audit.comparison.errors import IncomparableError
from models.audit.comparison.outcomes import NOT_SCORED, Outcomes, PointKey
from models.audit.figure import Figures
from models.audit.intervals import Bools, Ints, n_speakers
from models.audit.result import Threat
from models.audit.table import UNKNOWN
from models.threats import Domain, Norm, ThreatModel

CaseKind = Literal["clean", "worst_case", "point"]


class Case(Figures):
    """What audits are compared at."""

    case: CaseKind = Field(
        description="`clean`: the clips as they are. `worst_case`: all attacks of a threat model"
        " that all of the audits have, no stronger than `strength`, each clip under whichever"
        " breaks it. `point`: one attack or corruption at one strength.",
        examples=["worst_case"],
    )
    threat: Threat | None = Field(default=None, description="Null for clean clips.")
    strength: float | None = Field(
        default=None, description="In the unit of `threat`; null for clean clips.", examples=[0.02]
    )
    attack: str | None = Field(default=None, description="Of a point, its type.", examples=["pgd"])
    parameters: dict[str, Any] | None = Field(
        default=None, description="Of a point: those of the attack or the corruption."
    )
    control: bool = Field(default=False, description="Whether it has no adversary.")

    @property
    def words(self) -> str:
        """Such as "0.02 sigma (features linf), worst case"."""
        if self.threat is None or self.strength is None:
            return "the clips as they are"
        where = (
            ""
            if self.threat.domain == "corruption"
            else f" ({self.threat.domain} {self.threat.norm})"
        )
        what = "worst case" if self.attack is None else self.attack
        return f"{self.strength:g} {self.threat.unit}{where}, {what}"


CLEAN: Final = Case(case="clean")


def case_of(key: PointKey) -> Case:
    """A point as what audits are compared at."""
    return Case(
        case="point",
        threat=key.threat,
        strength=key.strength,
        attack=key.type,
        parameters=json.loads(key.parameters),
        control=key.control,
    )


@dataclass(frozen=True)
class CaseOutcomes:
    """What the audits say of their common clips in a case; arrays are (audits, clips).

    Attributes:
        scored: whether the audit came to the clip.
        right: whether the prediction is the label.
        success: 1 if the attack reached its goal, 0 if not, -1 if success is not counted: the model
            was wrong before, or the clip had the target label already. None of clean clips.
        flipped: whether the prediction is another one than that of the clean clip. None where
            predictions are those of several attacks, or of none.
    """

    case: Case
    scored: Bools
    right: Bools
    success: Ints | None = None
    flipped: Bools | None = None


@dataclass(frozen=True)
class Common:
    """Audits on the clips and at the cases that all of them have.

    Attributes:
        outcomes: the audits.
        clips: names of the clips, in the order of the first audit.
        places: of each clip in each audit's columns, (audits, clips).
        truth: classes of the labels, (clips,); what stands there without a label counts nowhere.
        labelled: whether a clip has a label, (clips,).
        speaker: numbers, (clips,); -1 if not known.
        keys: points that all audits have, in the order of the first one.
    """

    outcomes: Sequence[Outcomes]
    clips: Sequence[str]
    places: Ints
    truth: Ints
    labelled: Bools
    speaker: Ints
    keys: Sequence[PointKey] = field(default=())

    def __len__(self) -> int:
        return len(self.clips)

    @property
    def n_speakers(self) -> int | None:
        """Of the clips; None if some are not known."""
        return n_speakers(self.speaker)

    def index(self, audit: int) -> Ints:
        """Of the rows of an audit, (clips,)."""
        index: Ints = self.outcomes[audit].index[self.places[audit]]
        return index

    def cases(self) -> Iterator[CaseOutcomes]:
        """The clean clips, the worst cases by threat model and strength, then each point."""
        yield self._clean()
        points = [self._point(key) for key in self.keys]
        yield from self._worst_cases(points)
        yield from points

    @property
    def _before(self) -> Bools:
        """Whether the models are right on the clean clips."""
        right: Bools = self._stacked([one.before == one.truth for one in self.outcomes])
        return right

    def _stacked(self, columns: Sequence[Any]) -> Any:
        return np.stack([one[at] for one, at in zip(columns, self.places, strict=True)])

    def _clean(self) -> CaseOutcomes:
        right = self._before
        return CaseOutcomes(CLEAN, np.ones_like(right), right)

    def _point(self, key: PointKey) -> CaseOutcomes:
        at = [one.keys.index(key) for one in self.outcomes]
        found = list(zip(self.outcomes, at, strict=True))
        after = self._stacked([one.after(place) for one, place in found])
        success = self._stacked([one.success(place) for one, place in found])
        before = self._stacked([one.before for one in self.outcomes])
        truth = self._stacked([one.truth for one in self.outcomes])
        return CaseOutcomes(
            case_of(key),
            scored=success != NOT_SCORED,
            right=after == truth,
            success=np.where(success == NOT_SCORED, UNKNOWN, success),
            flipped=after != before,
        )

    def _worst_cases(self, points: Sequence[CaseOutcomes]) -> Iterator[CaseOutcomes]:
        """As :mod:`models.audit.worst_case` takes them, over the points that all audits have."""
        adversaries = [
            (key, point)
            for key, point in zip(self.keys, points, strict=True)
            if key.domain != "corruption" and not key.control
        ]
        threats = dict.fromkeys((key.domain, key.norm, key.unit) for key, _ in adversaries)
        before = self._before
        for domain, norm, unit in threats:
            own = [
                (key, point)
                for key, point in adversaries
                if (key.domain, key.norm) == (domain, norm)
            ]
            order = ThreatModel(cast(Domain, domain), cast(Norm, norm)).order
            broken, scored = np.zeros_like(before), np.ones_like(before)
            for strength in sorted({key.strength for key, _ in own}, key=order):
                for key, point in own:
                    if key.strength == strength:
                        broken = broken | (point.scored & ~point.right)
                        scored = scored & point.scored
                case = Case(
                    case="worst_case",
                    threat=Threat(domain=domain, norm=norm, unit=unit),
                    strength=strength,
                )
                success = np.where(before, broken, UNKNOWN)
                yield CaseOutcomes(case, scored, before & ~broken, success)


def common(outcomes: Sequence[Outcomes]) -> Common:
    """What the audits have in common.

    Args:
        outcomes: of two audits or more, with all their rows.

    Raises:
        IncomparableError: their models have other labels, or they have no clip in common.
    """
    first, *others = outcomes
    _check_labels(outcomes)
    shared = [key for key in first.places if all(key in one.places for one in others)]
    if not shared:
        raise _no_clip(outcomes)
    places = np.array([[one.places[key] for key in shared] for one in outcomes], dtype=np.int64)
    return Common(
        outcomes=outcomes,
        clips=[first.clips[place] for place in places[0].tolist()],
        places=places,
        truth=first.truth[places[0]],
        labelled=first.labelled[places[0]],
        speaker=first.speaker[places[0]],
        keys=[key for key in first.keys if all(key in one.keys for one in others)],
    )


def _check_labels(outcomes: Sequence[Outcomes]) -> None:
    first = outcomes[0]
    for place, one in enumerate(outcomes):
        if one.labels != first.labels:
            raise IncomparableError(
                "other_labels",
                place,
                f"its model knows {', '.join(one.labels)}, and that of {first.name} knows"
                f" {', '.join(first.labels)}",
                "compare audits of models with the same labels",
            )


def _no_clip(outcomes: Sequence[Outcomes]) -> IncomparableError:
    """The first audit that has none with the first one; else the last."""
    first = outcomes[0]
    place = next(
        (
            place
            for place, one in enumerate(outcomes[1:], start=1)
            if not first.places.keys() & one.places.keys()
        ),
        len(outcomes) - 1,
    )
    return IncomparableError(
        "no_common_clips",
        place,
        "the audits have no clip in common",
        "compare audits of the same partition of the same corpus",
    )
