"""Which clips of an audit are shown, chosen while its rows come, so that few inputs are kept.

Rows may be added shard by shard: what all rows together choose is among what each shard keeps.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from app.audits.exhibits import Role
from models.attacks import Attack
from models.audit import AuditRow
from models.audit.perturbation import Perturbation

FIRST: Final = 4
"""Clips of each strength that the median exhibit is chosen from: two of them may be taken."""


class Choice:
    """Which clips to show: broken ones first, and of these and of the others each class in turn.

    It takes rows one after the other. A clip's rank does not change when later ones come, so what
    is not among the first now will not be among them at the end, and need not be kept.

    Args:
        most: how many.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self._seen: dict[tuple[bool, str], int] = {}
        self._best: list[tuple[bool, int, int]] = []

    def add(self, row: AuditRow) -> None:
        """Consider a clip."""
        kind = (not any(one.success for one in row.attacked), row.truth)
        self._seen[kind] = self._seen.get(kind, 0) + 1
        self._best = sorted([*self._best, (kind[0], self._seen[kind], row.index)])[: self.most]

    @property
    def indices(self) -> list[int]:
        """Of the clips to show."""
        return [index for _, _, index in self._best]


@dataclass(frozen=True)
class BrokenClip:
    """A clip, and the weakest attack that broke it.

    Attributes:
        index: of the clip.
        place: of the attack at its strength, in ``row.attacked``.
        order: of the strength; the weakest has the smallest.
        score: of the label that the model was driven to.
    """

    index: int
    place: int
    order: float
    score: float


@dataclass
class _OneStrength:
    """The clips that break first at a strength, those that may be shown.

    Attributes:
        count: of all of them.
        first: of them, in the order in which they come.
        surest, least_sure: of them all, by the score.
    """

    surest: BrokenClip
    least_sure: BrokenClip
    count: int = 0
    first: list[BrokenClip] = field(default_factory=list)

    def add(self, clip: BrokenClip) -> None:
        self.count += 1
        self.first = [*self.first, clip][:FIRST]
        self.surest = min(self.surest, clip, key=_place)
        self.least_sure = max(self.least_sure, clip, key=_place)

    @property
    def kept(self) -> list[BrokenClip]:
        """In order, the surest first, none twice."""
        return sorted({*self.first, self.surest, self.least_sure}, key=_place)


def _place(clip: BrokenClip) -> tuple[float, int]:
    """Among the clips of one strength: more confident errors first, then the clips' order."""
    return -clip.score, clip.index


class BrokenClips:
    """The easiest, the median and the hardest clip that attacks broke.

    Strengths of two threat models cannot be compared: counted are the attacks of the first threat
    model of the request of which one has broken a clip. Controls do not count.
    """

    def __init__(self, attacks: Sequence[Perturbation]) -> None:
        self._attacks = attacks
        adversaries = [one for one in attacks if isinstance(one, Attack) and not one.control]
        self._threats = list(dict.fromkeys(one.threat for one in adversaries))
        self._rank = len(self._threats)
        self._strengths: dict[float, _OneStrength] = {}

    @property
    def count(self) -> int:
        """Of the broken clips."""
        return sum(one.count for one in self._strengths.values())

    def add(self, row: AuditRow) -> None:
        """Consider a clip."""
        found = self._broken(row)
        if found is None or found[0] > self._rank:
            return
        rank, clip = found
        if rank < self._rank:
            self._rank, self._strengths = rank, {}
        self._strengths.setdefault(clip.order, _OneStrength(clip, clip)).add(clip)

    def _broken(self, row: AuditRow) -> tuple[int, BrokenClip] | None:
        """The rank of the threat model, and the weakest attack of it that broke the clip."""
        found = []
        for place, one in enumerate(row.attacked):
            attack = self._attacks[one.attack]
            if one.success and isinstance(attack, Attack) and not attack.control:
                order = attack.threat.order(one.strength)
                found.append((self._threats.index(attack.threat), order, place))
        if not found:
            return None
        rank, order, place = min(found)
        shown = row.attacked[place]
        return rank, BrokenClip(row.index, place, order, shown.scores[shown.label])

    @property
    def kept(self) -> dict[int, int]:
        """The place of what is shown of each clip that may be shown, by the clip's index."""
        return {clip.index: clip.place for one in self._strengths.values() for clip in one.kept}

    @property
    def exhibits(self) -> dict[Role, BrokenClip]:
        """The clips to show, none twice, and fewer than three if fewer are broken."""
        if not self._strengths:
            return {}
        weakest, *_ = strengths = [self._strengths[order] for order in sorted(self._strengths)]
        easiest, hardest = weakest.surest, strengths[-1].least_sure
        if easiest == hardest:
            return {"easiest": easiest}
        between = [clip for clip in self._median(strengths).kept if clip not in (easiest, hardest)]
        if self.count == 2:
            return {"easiest": easiest, "hardest": hardest}
        median = between[(len(between) - 1) // 2]
        return {"easiest": easiest, "median": median, "hardest": hardest}

    def _median(self, strengths: Sequence[_OneStrength]) -> _OneStrength:
        middle = (self.count - 1) // 2
        for one in strengths:
            if middle < one.count:
                return one
            middle -= one.count
        raise AssertionError("the middle clip lies beyond all")
