"""What a replay came to: the counts of the audit beside those of today, and every clip that
differs."""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from app.audits.result import AuditResult
from models.audit import AuditRow, ClipPrediction, points
from models.audit.evidence import AttackedPrediction, SmallestStrength
from models.audit.perturbation import Perturbation
from models.audit.result import Counts as CountsTold
from models.audit.table import Columns, Table

CLEAN: Final = -1
"""The place of the clips as they are, before the points of the curve."""


class Counts(NamedTuple):
    """Clips at a point of the curve; the four in the middle as in the report's `counts`."""

    clips: int
    right_wrong: int
    right_right: int
    wrong_right: int
    wrong_wrong: int
    succeeded: int
    no_direction: int

    @classmethod
    def of(cls, table: Table) -> "Counts":
        """Those of a table."""
        counted = table.where(table.counted)
        before, after = counted.right_before, counted.right
        numbers = [
            before & ~after,
            before & after,
            ~before & after,
            ~before & ~after,
            counted.success == 1,
            table.no_direction,
        ]
        return cls(len(table), *(int(one.sum()) for one in numbers))


class Difference(NamedTuple):
    """A clip that came out differently.

    Attributes:
        number: index of its row.
        place: of the point in the curve, or :data:`CLEAN`.
        what: differs: label, success, no_direction, played (the label of its sound), smallest.
        then: in the bundle.
        now: in the replay.
    """

    number: int
    clip: str
    place: int
    what: str
    then: object
    now: object


class Outcome:
    """The comparison, as it grows clip by clip.

    Args:
        labels: of the model.
        attacks: of the request.

    Attributes:
        clips: that were compared.
        differences: clip by clip.
        largest: difference of a score.
        versions: what computed the audit and what computes today, where the two differ.
        unlike_rows: points at which the report has other counts than its own rows, by place.
    """

    def __init__(self, labels: Sequence[str], attacks: Sequence[Perturbation]) -> None:
        self.points = points(attacks)
        self.clips = 0
        self.differences: list[Difference] = []
        self.largest = 0.0
        self.versions: dict[str, tuple[str, str]] = {}
        self.unlike_rows: list[int] = []
        self._attacks = attacks
        self._places = {(one.attack, one.strength): n for n, one in enumerate(self.points)}
        self._then = Columns(labels, attacks, list(self._places))
        self._now = Columns(labels, attacks, list(self._places))

    @property
    def same(self) -> bool:
        """Whether all came out as in the bundle, clip by clip and so in every count."""
        return not self.differences and not self.unlike_rows

    @property
    def counts(self) -> list[tuple[Counts, Counts]]:
        """At each point of the curve, those of the bundle and those of the replay."""
        places = range(len(self.points))
        return [(Counts.of(self._then.point(n)), Counts.of(self._now.point(n))) for n in places]

    def add(
        self,
        row: AuditRow,
        clean: ClipPrediction,
        attacked: Sequence[AttackedPrediction],
        smallest: Sequence[SmallestStrength],
    ) -> None:
        """Compare a clip.

        Args:
            row: in the bundle. It may lack points: an audit may have ended at its max_seconds.
            clean, attacked, smallest: of the replay.
        """
        self.clips += 1
        there = {(one.attack, one.strength) for one in row.attacked}
        reached = [one for one in attacked if (one.attack, one.strength) in there]
        self._then.add(row)
        self._now.add(row.model_copy(update={"clean": clean, "attacked": reached}))
        self._scores(row.clean, clean)
        self._compare(row, CLEAN, "label", row.clean.label, clean.label)
        now = {(one.attack, one.strength): one for one in reached}
        for one in row.attacked:
            self._point(row, one, now[one.attack, one.strength])
        found = {one.attack: one.strength for one in smallest}
        for least in row.minimum:
            first = self._places[least.attack, self._attacks[least.attack].strengths[0]]
            self._compare(row, first, "smallest", least.strength, found.get(least.attack))

    def _point(self, row: AuditRow, then: AttackedPrediction, now: AttackedPrediction) -> None:
        place = self._places[then.attack, then.strength]
        self._scores(then, now)
        self._compare(row, place, "label", then.label, now.label)
        self._compare(row, place, "success", then.success, now.success)
        self._compare(row, place, "no_direction", then.no_direction, now.no_direction)
        self._compare(row, place, "played", _heard(then), _heard(now))

    def check_report(self, result: AuditResult) -> None:
        """Hold the report's counts against those of the bundle's rows."""
        told = {(one.attack, one.strength): one for one in result.curve}
        for place, (key, (rows, _)) in enumerate(zip(self._places, self.counts, strict=True)):
            one = told.get(key)
            if one is None or one.n != rows.clips or not _alike(one.counts, rows):
                self.unlike_rows.append(place)

    def _compare(self, row: AuditRow, place: int, what: str, then: object, now: object) -> None:
        if then != now:
            self.differences.append(Difference(row.index, row.clip, place, what, then, now))

    def _scores(self, then: ClipPrediction, now: ClipPrediction) -> None:
        for label, score in then.scores.items():
            self.largest = max(self.largest, abs(score - now.scores.get(label, 0.0)))

    def to_dict(self, said: Callable[[int], str]) -> dict[str, Any]:
        """For programs.

        Args:
            said: what a point is called, by its place.
        """
        return {
            "object": "replay",
            "same": self.same,
            "clips": self.clips,
            "points": [
                {
                    "attack": point.attack,
                    "strength": point.strength,
                    "then": then._asdict(),
                    "now": now._asdict(),
                }
                for point, (then, now) in zip(self.points, self.counts, strict=True)
            ],
            "differences": [
                {
                    "index": one.number,
                    "clip": one.clip,
                    "at": said(one.place),
                    "what": one.what,
                    "then": one.then,
                    "now": one.now,
                }
                for one in self.differences
            ],
            "largest_score_difference": round(self.largest, 6),
            "versions": {name: list(pair) for name, pair in self.versions.items()},
            "report_unlike_rows": [said(place) for place in self.unlike_rows],
        }


def _alike(told: CountsTold, rows: Counts) -> bool:
    return all(getattr(rows, name) == value for name, value in told)


def _heard(one: AttackedPrediction) -> str | None:
    return None if one.audio is None else one.audio.label
