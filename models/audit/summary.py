"""Adds the rows of an audit up to its result, one row after the other."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import torch

from models import metrics
from models.attacks import Attack
from models.audit.controls import against, control_of
from models.audit.evidence import AuditRow
from models.audit.intervals import Bools
from models.audit.measures import figures
from models.audit.measures.distortion import distortion, quantiles
from models.audit.measures.flips import flips
from models.audit.measures.gaps import Gap, GroupTable, Kind, band_of, bands, gaps, group_table
from models.audit.measures.smallest import Minimum, minimum
from models.audit.perturbation import Perturbation
from models.audit.result import (
    AttackOfResult,
    AuditSummary,
    Clean,
    Counts,
    CurvePoint,
    Flips,
    Quality,
    Scale,
    Threat,
    TotalCost,
    WarnedClips,
)
from models.audit.table import Columns, Table
from models.audit.worst_case import worst_cases
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


class _Smallest(NamedTuple):
    """The smallest strength of a clip.

    Attributes:
        clip: its place among all.
        attacked: the model was right before, and the clip had not the target label.
    """

    strength: float | None
    clip: int
    attacked: bool


class Summary:
    """Takes rows in, and gives the result.

    Args:
        labels: names of the classes, in the order of the scores.
        attacks: of the request.
        group_by: what the groups of the rows are called.

    Attributes:
        groups: figures of all groups of clips, as they are and at each point, of the last result.
    """

    groups: Sequence[GroupTable] = ()

    def __init__(
        self, labels: Sequence[str], attacks: Sequence[Perturbation], group_by: str | None = None
    ) -> None:
        self._labels = list(labels)
        self._attacks = attacks
        self._group_by = group_by
        self._points = points(attacks)
        self._columns = Columns(
            labels, attacks, [(point.attack, point.strength) for point in self._points]
        )
        self._controls = [
            control_of(attacks, point.attack, point.strength, self._places)
            for point in self._points
        ]
        self._minimum: dict[int, list[_Smallest]] = {
            number: [] for number, attack in enumerate(attacks) if attack.minimum
        }
        self._passes = [Cost() for _ in attacks]
        self._warned: Counter[str] | None = None

    @property
    def columns(self) -> Columns:
        """The rows so far, as numbers."""
        return self._columns

    @property
    def _places(self) -> dict[tuple[int, float], int]:
        """Places of the points in the curve."""
        return {(one.attack, one.strength): place for place, one in enumerate(self._points)}

    def add(self, row: AuditRow) -> None:
        """Count a clip."""
        self._columns.add(row)
        if row.warnings is not None:
            self._warned = self._warned or Counter()
            self._warned.update(set(row.warnings))
        for one in row.attacked:
            self._passes[one.attack] += one.cost.passes()
        for found in row.minimum:
            attacked = row.right_before and not self._columns.left_alone(row, found.attack)
            self._minimum[found.attack].append(
                _Smallest(found.strength, self._columns.n - 1, attacked)
            )
            self._passes[found.attack] += found.cost.passes()

    def result(self, *, of: int, scale: Scale, seconds: Mapping[int, float]) -> AuditSummary:
        """The result of the rows so far.

        Clips without a label enter ``unlabelled``, ``flips`` and ``flip_rate`` alone; if no clip
        has a label, UAR, accuracy, recalls and confusion are None, and success takes the clean
        prediction for the truth.

        Args:
            of: clips that were to be scored.
            seconds: that each attack took, by its index.

        Raises:
            ValueError: there is no row.
        """
        n = self._columns.n
        if not n:
            raise ValueError("an audit of no clips has no result: score at least one")
        clean = self._columns.clean()
        grouped = list(self._by_group())
        self.groups = [table for table, _ in grouped]
        curve = [self._point(place) for place in range(len(self._points))]
        scored = [*(point.n for point in curve), *map(len, self._minimum.values())]
        return AuditSummary(
            n=n,
            of=of,
            complete=n == of and all(one == of for one in scored),
            n_unlabelled=int((~clean.labelled).sum()),
            warnings=self._warnings(),
            labels=self._labels,
            clean=Clean(**self._quality(clean), measures=figures(clean, "clean")),
            attacks=[
                self._attack(number, attack, seconds.get(number, 0.0))
                for number, attack in enumerate(self._attacks)
            ],
            curve=curve,
            worst_case=worst_cases(self._columns, self._attacks, self._places),
            minimum=[self._smallest(number, found) for number, found in self._minimum.items()],
            gaps=[gap for _, some in grouped for gap in some],
            cost=TotalCost(
                **sum(self._passes, start=Cost(forwards=n)).to_dict(),
                seconds=round(sum(seconds.values()), 3),
            ),
            scale=scale,
        )

    def _warnings(self) -> list[WarnedClips] | None:
        if self._warned is None:
            return None
        return [WarnedClips(code=code, clips=n) for code, n in sorted(self._warned.items())]

    def _by_group(self) -> Iterator[tuple[GroupTable, list[Gap]]]:
        """Each kind of groups at each point, with the largest differences."""
        kinds = self._kinds()
        at: list[tuple[int | None, float | None, Table]] = [(None, None, self._columns.clean())]
        at += [
            (point.attack, point.strength, self._columns.point(place))
            for place, point in enumerate(self._points)
        ]
        for attack, strength, clips in at:
            for kind in kinds:
                table = group_table(clips, kind, attack, strength)
                if table is not None:
                    yield table, list(gaps(clips, kind, table))

    def _kinds(self) -> list[Kind]:
        clean, columns = self._columns.clean(), self._columns
        found = [
            Kind("speaker", list(columns.speakers.known), clean.speaker),
            Kind("gender", list(columns.genders.known), clean.gender),
            Kind("emotion", self._labels, np.where(clean.labelled, clean.truth, -1)),
            Kind("duration", bands(), band_of(clean.duration_s)),
        ]
        if self._group_by is not None:
            found.append(Kind(self._group_by, list(columns.groups.known), clean.group))
        return found

    def _attack(self, number: int, attack: Perturbation, seconds: float) -> AttackOfResult:
        return AttackOfResult(
            index=number,
            type=attack.type,
            parameters=attack.parameters(),
            threat=Threat(**attack.threat.to_dict()),
            control=attack.control,
            atlas=list(attack.atlas) if isinstance(attack, Attack) else [],
            cost=TotalCost(**self._passes[number].to_dict(), seconds=round(seconds, 3)),
        )

    def _quality(self, clips: Table) -> dict[str, Any]:
        """UAR, accuracy, recalls and confusion of labelled clips, as `Quality` has them."""
        clips = clips.where(clips.labelled)
        if not len(clips):
            return dict.fromkeys(Quality.model_fields)
        y, guesses = torch.from_numpy(clips.truth), torch.from_numpy(clips.after)
        n_classes = len(self._labels)
        recalls = metrics.recalls(y, guesses, n_classes)
        return {
            "uar": metrics.uar(y, guesses, n_classes),
            "accuracy": float((y == guesses).double().mean()),
            "recall": dict(zip(self._labels, recalls, strict=True)),
            "confusion": metrics.confusion(y, guesses, n_classes).tolist()
            if n_classes <= MOST_CONFUSED
            else None,
        }

    def _point(self, place: int) -> CurvePoint:
        point, control = self._points[place], self._controls[place]
        clips = self._columns.point(place, control)
        counted = clips.where(clips.counted)
        right = counted.where(counted.right_before)
        changes = distortion(clips)
        played = counted.where(~np.isnan(counted.played_snr_db))
        heard = quantiles(played.played_snr_db, (0.5,))
        return CurvePoint(
            attack=point.attack,
            strength=point.strength,
            n=len(clips),
            **self._quality(clips),
            right_before=len(right),
            success_rate=_share(right.success == 1),
            flip_rate=_share(clips.after != clips.before),
            measures=figures(clips, "point"),
            counts=_counts(counted),
            control=against(clips, control),
            flips=flips(clips) if len(clips) else None,
            no_direction=int(clips.no_direction.sum()),
            has_target_label=int(clips.left_alone.sum()),
            mean_success_rate=self._over_draws(point, right),
            unlabelled=_unlabelled(clips.where(~clips.labelled)),
            distortion=changes,
            survives_as_audio=_share(played.survived),
            played=len(played),
            snr_db=heard[0] if heard else changes and changes.snr_db,
        )

    def _over_draws(self, point: Point, right: Table) -> float | None:
        broken = right.broken_draws[right.broken_draws >= 0]
        if not len(broken):
            return None
        draws: int = getattr(self._attacks[point.attack], "draws", 1)
        return int(broken.sum()) / (draws * len(broken))

    def _smallest(self, number: int, found: Sequence[_Smallest]) -> Minimum:
        """Of the clips that success is counted over and that were right before."""
        clean = self._columns.clean()
        labelled = [one for one in found if clean.labelled[one.clip]]
        attacked = [one for one in labelled or found if one.attacked]
        return minimum(
            number,
            [one.strength for one in attacked],
            smaller_is_harder=self._attacks[number].threat.smaller_is_harder,
            speaker=clean.speaker[np.array([one.clip for one in attacked], dtype=np.int64)],
        )


def _counts(counted: Table) -> Counts:
    before, after = counted.right_before, counted.right
    return Counts(
        right_wrong=int((before & ~after).sum()),
        right_right=int((before & after).sum()),
        wrong_right=int((~before & after).sum()),
        wrong_wrong=int((~before & ~after).sum()),
    )


def summarize(
    rows: Iterable[AuditRow],
    labels: Sequence[str],
    attacks: Sequence[Perturbation],
    *,
    of: int,
    scale: Scale,
    seconds: Mapping[int, float],
    group_by: str | None = None,
) -> AuditSummary:
    """:meth:`Summary.result` of all rows."""
    summary = Summary(labels, attacks, group_by)
    for row in rows:
        summary.add(row)
    return summary.result(of=of, scale=scale, seconds=seconds)


def _unlabelled(clips: Table) -> Flips | None:
    if not len(clips):
        return None
    flipped = int((clips.after != clips.before).sum())
    return Flips(n=len(clips), flipped=flipped, flip_rate=flipped / len(clips))


def _share(counted: Bools) -> float | None:
    """Of all of them; None for none."""
    return int(counted.sum()) / len(counted) if len(counted) else None
