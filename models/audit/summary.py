"""Adds the rows of an audit up to its result, one row after the other."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final, NamedTuple

import torch

from models import metrics
from models.attacks import TargetLabel
from models.audit.evidence import AttackedPrediction, AuditRow
from models.audit.measures import MEASURES, Measure
from models.audit.perturbation import Perturbation
from models.audit.result import (
    AttackOfResult,
    AuditSummary,
    Counts,
    CurvePoint,
    Flips,
    MedianDistortion,
    Minimum,
    Quality,
    Scale,
    Threat,
    TotalCost,
)
from models.audit.worst_case import WorstCases
from models.victims import Cost

MOST_CONFUSED: Final = 64
"""Classes of which a confusion matrix is made: with a thousand it has a million cells a point."""


@dataclass(frozen=True)
class Point:
    """One point of the curve: an attack, by its index, at one strength."""

    attack: int
    strength: float


def points(attacks: Sequence[Perturbation]) -> list[Point]:
    """All attacks at all their strengths, in the order of curves and rows."""
    return [
        Point(number, strength)
        for number, attack in enumerate(attacks)
        for strength in attack.strengths
    ]


class _Scored(NamedTuple):
    """What of a clip is needed of one point: some numbers, so that memory hardly grows.

    Attributes:
        truth, before, after: classes.
        left_alone: it had the target label already.
        survived: a successful attack on log-mels that the model falls for as sound, too.
        distortion: L∞, L2, SNR and dB of a band; None of a corruption.
    """

    truth: int
    before: int
    after: int
    labelled: bool
    left_alone: bool
    success: bool | None
    broken_draws: int | None
    survived: bool
    played_snr_db: float | None
    distortion: tuple[float, float, float | None, float] | None

    @property
    def right_before(self) -> bool:
        """Whether the model was right."""
        return self.before == self.truth


class _Smallest(NamedTuple):
    """The smallest strength of a clip.

    Attributes:
        attacked: the model was right before, and the clip had not the target label.
    """

    strength: float | None
    attacked: bool
    labelled: bool


class Summary:
    """Takes rows in, and gives the result.

    Args:
        labels: names of the classes, in the order of the scores.
        attacks: of the request.
    """

    def __init__(self, labels: Sequence[str], attacks: Sequence[Perturbation]) -> None:
        self._labels = list(labels)
        self._class_of = {label: number for number, label in enumerate(labels)}
        self._attacks = attacks
        self._scored: dict[Point, list[_Scored]] = {point: [] for point in points(attacks)}
        self._measures: dict[Point, list[Measure]] = {
            point: [measure() for measure in MEASURES.values()] for point in self._scored
        }
        self._no_direction: Counter[Point] = Counter()
        self._worst = WorstCases(labels, attacks)
        self._minimum: dict[int, list[_Smallest]] = {
            number: [] for number, attack in enumerate(attacks) if attack.minimum
        }
        self._truth: list[int] = []
        self._clean: list[int] = []
        self._n = 0
        self._passes = [Cost() for _ in attacks]

    def add(self, row: AuditRow) -> None:
        """Count a clip."""
        self._n += 1
        truth, before = self._class_of[row.truth], self._class_of[row.clean.label]
        if row.label is not None:
            self._truth.append(truth)
            self._clean.append(before)
        for one in row.attacked:
            self._add_point(row, one, truth, before)
        for found in row.minimum:
            attacked = row.right_before and not self._left_alone(row, found.attack)
            self._minimum[found.attack].append(
                _Smallest(found.strength, attacked, row.label is not None)
            )
            self._passes[found.attack] += found.cost.passes()
        self._worst.add(row)

    def _add_point(self, row: AuditRow, one: AttackedPrediction, truth: int, before: int) -> None:
        point = Point(one.attack, one.strength)
        draws = one.details.get("broken_draws")
        size = one.distortion
        self._scored[point].append(
            _Scored(
                truth=truth,
                before=before,
                after=self._class_of[one.label],
                labelled=row.label is not None,
                left_alone=self._left_alone(row, one.attack),
                success=one.success,
                broken_draws=draws if isinstance(draws, int) else None,
                survived=self._survived(row, one),
                played_snr_db=None if one.audio is None else one.audio.snr_db,
                distortion=None
                if size is None
                else (size.linf, size.l2, size.snr_db, size.band_db),
            )
        )
        for measure in self._measures[point]:
            measure.add(row, one)
        self._no_direction[point] += one.no_direction
        self._passes[one.attack] += one.cost.passes()

    def _left_alone(self, row: AuditRow, number: int) -> bool:
        goal = self._attacks[number].goal
        return isinstance(goal, TargetLabel) and row.truth == goal.label

    def _survived(self, row: AuditRow, one: AttackedPrediction) -> bool:
        """Whether the model falls for a successful attack also when it hears it as sound."""
        goal = self._attacks[one.attack].goal
        if one.audio is None:
            return False
        if isinstance(goal, TargetLabel):
            return one.audio.label == goal.label
        return one.audio.label != row.truth

    def result(self, *, of: int, scale: Scale, seconds: Mapping[int, float]) -> AuditSummary:
        """The result of the rows so far.

        Clips without a label enter ``unlabelled`` and ``flip_rate`` alone; if no clip has a label,
        UAR, accuracy, recalls and confusion are None, and success takes the clean prediction for
        the truth.

        Args:
            of: clips that were to be scored.
            seconds: that each attack took, by its index.

        Raises:
            ValueError: there is no row.
        """
        if not self._n:
            raise ValueError("an audit of no clips has no result: score at least one")
        parts: list[Sequence[object]] = [*self._scored.values(), *self._minimum.values()]
        complete = self._n == of and all(len(part) == of for part in parts)
        attacks = [
            self._attack(number, attack, seconds.get(number, 0.0))
            for number, attack in enumerate(self._attacks)
        ]
        return AuditSummary(
            n=self._n,
            of=of,
            complete=complete,
            n_unlabelled=self._n - len(self._truth),
            labels=self._labels,
            clean=self._quality(self._truth, self._clean),
            attacks=attacks,
            curve=[self._point(point, scored) for point, scored in self._scored.items()],
            worst_case=self._worst.result(),
            minimum=[self._smallest(number, found) for number, found in self._minimum.items()],
            cost=TotalCost(
                **sum(self._passes, start=Cost(forwards=self._n)).to_dict(),
                seconds=round(sum(seconds.values()), 3),
            ),
            scale=scale,
        )

    def _attack(self, number: int, attack: Perturbation, seconds: float) -> AttackOfResult:
        return AttackOfResult(
            index=number,
            type=attack.type,
            parameters=attack.parameters(),
            threat=Threat(**attack.threat.to_dict()),
            control=attack.control,
            cost=TotalCost(**self._passes[number].to_dict(), seconds=round(seconds, 3)),
        )

    def _quality(self, truth: Sequence[int], predicted: Sequence[int]) -> Quality:
        """UAR, accuracy, recalls and confusion of labelled clips."""
        if not truth:
            return Quality(uar=None, accuracy=None, recall=None, confusion=None)
        y, guesses = torch.tensor(truth), torch.tensor(predicted)
        n_classes = len(self._labels)
        recalls = metrics.recalls(y, guesses, n_classes)
        return Quality(
            uar=metrics.uar(y, guesses, n_classes),
            accuracy=float((y == guesses).double().mean()),
            recall=dict(zip(self._labels, recalls, strict=True)),
            confusion=metrics.confusion(y, guesses, n_classes).tolist()
            if n_classes <= MOST_CONFUSED
            else None,
        )

    def _point(self, point: Point, scored: Sequence[_Scored]) -> CurvePoint:
        labelled = [one for one in scored if one.labelled]
        counted = [one for one in labelled or scored if not one.left_alone]
        right = [one for one in counted if one.right_before]
        moves = metrics.transitions(
            *(
                torch.tensor([one[place] for one in counted], dtype=torch.int64)
                for place in range(3)
            )
        )
        distortion = _distortion([one for one in scored if not one.left_alone])
        played = [one for one in counted if one.played_snr_db is not None]
        quality = self._quality([one.truth for one in labelled], [one.after for one in labelled])
        return CurvePoint(
            attack=point.attack,
            strength=point.strength,
            n=len(scored),
            **quality.model_dump(),
            right_before=len(right),
            success_rate=_share(sum(bool(one.success) for one in right), len(right)),
            flip_rate=_share(_flipped(scored), len(scored)),
            measures={one.name: one.figure() for one in self._measures[point]},
            counts=Counts(
                right_wrong=moves.right_wrong,
                right_right=moves.right_right,
                wrong_right=moves.wrong_right,
                wrong_wrong=moves.wrong_wrong,
            ),
            no_direction=self._no_direction[point],
            has_target_label=sum(one.left_alone for one in scored),
            mean_success_rate=self._over_draws(point, right),
            unlabelled=_flips([one for one in scored if not one.labelled]),
            distortion=distortion,
            survives_as_audio=_share(sum(one.survived for one in played), len(played)),
            played=len(played),
            snr_db=_median(one.played_snr_db for one in played)
            if played
            else distortion and distortion.snr_db,
        )

    def _over_draws(self, point: Point, right: Sequence[_Scored]) -> float | None:
        broken = [one.broken_draws for one in right if one.broken_draws is not None]
        if not broken:
            return None
        draws: int = getattr(self._attacks[point.attack], "draws", 1)
        return sum(broken) / (draws * len(broken))

    def _smallest(self, number: int, found: Sequence[_Smallest]) -> Minimum:
        """Of the clips that success is counted over and that were right before."""
        labelled = [one for one in found if one.labelled]
        return minimum(
            number,
            [one.strength for one in labelled or found if one.attacked],
            smaller_is_harder=self._attacks[number].threat.smaller_is_harder,
        )


def summarize(
    rows: Iterable[AuditRow],
    labels: Sequence[str],
    attacks: Sequence[Perturbation],
    *,
    of: int,
    scale: Scale,
    seconds: Mapping[int, float],
) -> AuditSummary:
    """:meth:`Summary.result` of all rows."""
    summary = Summary(labels, attacks)
    for row in rows:
        summary.add(row)
    return summary.result(of=of, scale=scale, seconds=seconds)


def minimum(attack: int, found: Sequence[float | None], *, smaller_is_harder: bool) -> Minimum:
    """Median and quartiles of smallest strengths; unbroken clips stand beyond all others.

    Args:
        found: of the clips that were right before.
        smaller_is_harder: whether a smaller strength allows more, as with an SNR.
    """
    broken = sorted(
        (strength for strength in found if strength is not None), reverse=smaller_is_harder
    )
    ordered: list[float | None] = [*broken, *[None] * (len(found) - len(broken))]
    return Minimum(
        attack=attack,
        right_before=len(found),
        unbroken=len(found) - len(broken),
        median=_quantile(ordered, 0.5),
        quartiles=(_quantile(ordered, 0.25), _quantile(ordered, 0.75)),
    )


def _quantile(ordered: Sequence[float | None], share: float) -> float | None:
    """Interpolated between neighbours (Hyndman & Fan 1996, type 7); None beyond the last number."""
    if not ordered:
        return None
    place = share * (len(ordered) - 1)
    low, high = ordered[math.floor(place)], ordered[math.ceil(place)]
    if low is None or high is None:
        return None
    return low + (high - low) * (place - math.floor(place))


def _flipped(scored: Sequence[_Scored]) -> int:
    """How many predictions the attack changed."""
    return sum(one.before != one.after for one in scored)


def _flips(unlabelled: Sequence[_Scored]) -> Flips | None:
    if not unlabelled:
        return None
    flipped = _flipped(unlabelled)
    return Flips(n=len(unlabelled), flipped=flipped, flip_rate=flipped / len(unlabelled))


def _distortion(attacked: Sequence[_Scored]) -> MedianDistortion | None:
    known = [one.distortion for one in attacked if one.distortion is not None]
    if not known:
        return None
    linf, l2, snr, band = zip(*known, strict=True)
    return MedianDistortion(
        linf=median(linf), l2=median(l2), snr_db=_median(snr), band_db=median(band)
    )


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
