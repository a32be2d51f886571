"""The rows of an audit as columns of numbers, one entry a clip: what all figures are taken of.

A row of evidence takes kilobytes, its numbers here some eighty bytes a point, so that the figures
of a large audit fit into memory.
"""

from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Final, Self

import numpy as np

from models.attacks import Goal, TargetLabel
from models.audit.evidence import AttackedPrediction, AuditRow, ClipPrediction, Distortion
from models.audit.intervals import Bools, Floats, Ints
from models.audit.perturbation import Perturbation

UNKNOWN: Final = -1
"""In place of the number of a name that is not known."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """What the model says of some clips, before and under an attack at one strength.

    All arrays are (clips,). A table of the clean predictions has them as those under attack, too.

    Attributes:
        labels: names of the classes.
        clip: the clip's place among all that have a row.
        truth, before, after: classes; without a label the clean prediction is the truth.
        labelled: whether the clip has a label.
        speaker, gender, group: numbers of names, see :class:`Names`; -1 if not known.
        duration_s: of the recording.
        confidence_before, confidence: score of the class that is predicted.
        truth_score_before, truth_score: score of the true class.
        squared_error: Σ over the classes of (score − (1 if it is the truth else 0))².
        right_before, right: whether the prediction is the truth.
        success: 1 if the attack reached its goal, 0 if not, -1 if the model was wrong before or the
            clip had the target label already.
        left_alone: whether it had the target label already.
        no_direction: see :class:`models.audit.evidence.AttackedPrediction`.
        silent: whether it is digital silence, which no SNR lets anybody change.
        broken_draws: of a control; -1 if it has none.
        survived: whether the model falls for the attack also when it hears it as sound.
        played_snr_db: of that sound; NaN if there is none.
        linf, l2, snr_db, band_db: distortion; NaN where there is no SNR, and of a corruption.
        adversarial_score_before, adversarial_score: that the detector gives, None if it was not
            asked.
        alarm_before, alarm: whether that is above its threshold.
        control: whether noise of the same strength reaches the attack's goal on the clip, as
            ``success``; -1 where it was not scored, None if there is no such noise.
    """

    labels: Sequence[str]
    clip: Ints
    truth: Ints
    before: Ints
    after: Ints
    labelled: Bools
    speaker: Ints
    gender: Ints
    group: Ints
    duration_s: Floats
    confidence_before: Floats
    confidence: Floats
    truth_score_before: Floats
    truth_score: Floats
    squared_error: Floats
    right_before: Bools
    right: Bools
    success: Ints
    left_alone: Bools
    no_direction: Bools
    silent: Bools
    broken_draws: Ints
    survived: Bools
    played_snr_db: Floats
    linf: Floats
    l2: Floats
    snr_db: Floats
    band_db: Floats
    adversarial_score_before: Floats | None = None
    adversarial_score: Floats | None = None
    alarm_before: Bools | None = None
    alarm: Bools | None = None
    control: Ints | None = None

    def __len__(self) -> int:
        return len(self.clip)

    @property
    def counted(self) -> Bools:
        """The clips that success is counted over: those with a label, or all if none has one, but
        not those that had the target label already."""
        return (self.labelled if bool(self.labelled.any()) else True) & ~self.left_alone

    @property
    def alarms(self) -> Bools:
        """:attr:`alarm`; none where the detector was not asked."""
        return np.zeros(len(self), dtype=np.bool_) if self.alarm is None else self.alarm

    def where(self, chosen: Bools) -> Self:
        """Some of the clips."""
        columns: dict[str, Any] = {
            one.name: value[chosen]
            for one in fields(self)
            if isinstance(value := getattr(self, one.name), np.ndarray)
        }
        return replace(self, **columns)


class Names:
    """Numbers for names, in the order in which they come."""

    def __init__(self) -> None:
        self.known: dict[str, int] = {}

    def number(self, name: str | None) -> int:
        """Of a name; -1 for none."""
        return UNKNOWN if name is None else self.known.setdefault(name, len(self.known))


class _Columns:
    """Columns that grow row by row.

    Args:
        kinds: by name: "i" whole numbers, "b" yes or no or -1, "d" others.
    """

    def __init__(self, kinds: dict[str, str]) -> None:
        self._columns: dict[str, array[Any]] = {name: array(kind) for name, kind in kinds.items()}

    def add(self, **values: float) -> None:
        """A row; NaN for what is missing."""
        for name, value in values.items():
            self._columns[name].append(value)

    def __getitem__(self, name: str) -> Any:
        """A copy, as numpy counts with it: what grows must not be held."""
        column = self._columns[name]
        kind = np.float64 if column.typecode == "d" else np.int64
        return np.array(column, dtype=kind)


_CLIPS: Final = {
    **dict.fromkeys(("truth", "before", "speaker", "gender", "group"), "i"),
    **dict.fromkeys(("labelled", "alarm"), "b"),
    "adversarial_score": "d",
    **dict.fromkeys(("duration_s", "confidence", "truth_score", "squared_error"), "d"),
}
_POINT: Final = {
    **dict.fromkeys(("clip", "after", "broken_draws"), "i"),
    **dict.fromkeys(("success", "left_alone", "no_direction", "silent", "survived"), "b"),
    "alarm": "b",
    "adversarial_score": "d",
    **dict.fromkeys(("confidence", "truth_score", "squared_error"), "d"),
    **dict.fromkeys(("played_snr_db", "linf", "l2", "snr_db", "band_db"), "d"),
}


class Columns:
    """Takes rows in, and gives tables.

    Args:
        labels: names of the classes, in the order of the scores.
        attacks: of the request.
        points: (attack, strength) of each point of the curve.

    Attributes:
        speakers, genders, groups: the names behind the numbers.
    """

    def __init__(
        self,
        labels: Sequence[str],
        attacks: Sequence[Perturbation],
        points: Sequence[tuple[int, float]],
    ) -> None:
        self.labels = list(labels)
        self.speakers, self.genders, self.groups = Names(), Names(), Names()
        self._class_of = {label: number for number, label in enumerate(labels)}
        self._attacks = attacks
        self._attack_at = [attack for attack, _ in points]
        self._place_of = {point: place for place, point in enumerate(points)}
        self._clips = _Columns(_CLIPS)
        self._points = [_Columns(_POINT) for _ in points]
        self.n = 0

    def add(self, row: AuditRow) -> None:
        """Count a clip."""
        self._clips.add(
            truth=self._class_of[row.truth],
            before=self._class_of[row.clean.label],
            speaker=self.speakers.number(row.speaker),
            gender=self.genders.number(row.gender),
            group=self.groups.number(row.group),
            labelled=row.label is not None,
            duration_s=row.duration_s,
            **_scores(row.clean, row.truth),
            **_detection(row.clean),
        )
        for one in row.attacked:
            self._points[self._place_of[one.attack, one.strength]].add(
                clip=self.n,
                after=self._class_of[one.label],
                broken_draws=_draws(one),
                success=UNKNOWN if one.success is None else one.success,
                left_alone=self.left_alone(row, one.attack),
                no_direction=one.no_direction,
                silent=one.details.get("digital_silence") is True,
                survived=self._survived(row, one),
                played_snr_db=_number(None if one.audio is None else one.audio.snr_db),
                **_sizes(one.distortion),
                **_scores(one, row.truth),
                **_detection(one),
            )
        self.n += 1

    def left_alone(self, row: AuditRow, attack: int) -> bool:
        """Whether a clip has the target label of an attack already."""
        goal = self._attacks[attack].goal
        return isinstance(goal, TargetLabel) and row.truth == goal.label

    def _survived(self, row: AuditRow, one: AttackedPrediction) -> bool:
        """Whether the model falls for a successful attack also when it hears it as sound."""
        goal = self._attacks[one.attack].goal
        if one.audio is None:
            return False
        if isinstance(goal, TargetLabel):
            return one.audio.label == goal.label
        return one.audio.label != row.truth

    def clean(self) -> Table:
        """All clips as they are."""
        return self._table(np.arange(self.n), self._clips, self._clips["before"], None)

    def point(self, place: int, control: int | None = None) -> Table:
        """The clips that were scored at a point of the curve.

        Args:
            place: of the point.
            control: place of the point of noise that it is held against.
        """
        columns = self._points[place]
        found = self._table(columns["clip"], columns, columns["after"], columns)
        if control is None:
            return found
        goal = self._attacks[self._attack_at[place]].goal
        return replace(found, control=self.success(control, goal)[found.clip])

    def success(self, place: int, goal: Goal) -> Ints:
        """Whether a point's changes reach a goal, of all clips: as :attr:`Table.success`, and -1
        for those that were not scored there."""
        found, columns = np.full(self.n, UNKNOWN), self._points[place]
        success, clip = columns["success"], columns["clip"]
        if isinstance(goal, TargetLabel):
            there = columns["after"] == self._class_of[goal.label]
            success = np.where(success == UNKNOWN, UNKNOWN, there)
        found[clip] = success
        return found

    def _table(self, clip: Ints, scores: _Columns, after: Ints, point: _Columns | None) -> Table:
        of_clips = {name: self._clips[name][clip] for name in _CLIPS}
        truth, before = of_clips["truth"], of_clips["before"]
        no, none = np.zeros(len(clip), dtype=np.bool_), np.full(len(clip), np.nan)
        return Table(
            labels=self.labels,
            clip=clip,
            truth=truth,
            before=before,
            after=after,
            labelled=of_clips["labelled"] > 0,
            speaker=of_clips["speaker"],
            gender=of_clips["gender"],
            group=of_clips["group"],
            duration_s=of_clips["duration_s"],
            confidence_before=of_clips["confidence"],
            confidence=scores["confidence"],
            truth_score_before=of_clips["truth_score"],
            truth_score=scores["truth_score"],
            squared_error=scores["squared_error"],
            right_before=before == truth,
            right=after == truth,
            success=np.full(len(clip), UNKNOWN) if point is None else point["success"],
            left_alone=no if point is None else point["left_alone"] > 0,
            no_direction=no if point is None else point["no_direction"] > 0,
            silent=no if point is None else point["silent"] > 0,
            broken_draws=np.full(len(clip), UNKNOWN) if point is None else point["broken_draws"],
            survived=no if point is None else point["survived"] > 0,
            **{
                name: none if point is None else point[name]
                for name in ("played_snr_db", "linf", "l2", "snr_db", "band_db")
            },
            **_detections(of_clips, scores),
        )


def _detections(of_clips: Mapping[str, Any], scores: _Columns) -> dict[str, Any]:
    """What the detector says before and under an attack; nothing if it was not asked."""
    alarm = scores["alarm"]
    asked = bool((alarm != UNKNOWN).all()) and bool((of_clips["alarm"] != UNKNOWN).all())
    if not (asked and len(alarm)):
        return {}
    return {
        "adversarial_score_before": of_clips["adversarial_score"],
        "adversarial_score": scores["adversarial_score"],
        "alarm_before": of_clips["alarm"] > 0,
        "alarm": alarm > 0,
    }


def _detection(said: ClipPrediction) -> dict[str, float]:
    if said.detection is None:
        return {"adversarial_score": float("nan"), "alarm": UNKNOWN}
    found = said.detection
    return {"adversarial_score": found.adversarial_score, "alarm": found.alarm}


def _scores(said: ClipPrediction, truth: str) -> dict[str, float]:
    return {
        "confidence": said.scores[said.label],
        "truth_score": said.scores[truth],
        "squared_error": sum(
            (score - (label == truth)) ** 2 for label, score in said.scores.items()
        ),
    }


def _sizes(distortion: Distortion | None) -> dict[str, float]:
    """NaN for a corruption, which has no size."""
    names = ("linf", "l2", "snr_db", "band_db")
    return {name: _number(getattr(distortion, name, None)) for name in names}


def _draws(one: AttackedPrediction) -> int:
    draws = one.details.get("broken_draws")
    return draws if isinstance(draws, int) else UNKNOWN


def _number(value: float | None) -> float:
    return float("nan") if value is None else value
