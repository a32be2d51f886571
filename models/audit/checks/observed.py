"""All that is known of an audit when it is judged: what a check reads."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from models.attacks import Attack
from models.audit.clips import ClipFacts
from models.audit.intervals import Bools
from models.audit.perturbation import Perturbation
from models.audit.result import AuditSummary
from models.audit.table import Columns, Table
from models.provenance import Provenance
from models.threats import ThreatModel
from models.victims import Access


@dataclass(frozen=True)
class Probe:
    """What was measured beside the rows, with a few passes that no cost counts.

    Attributes:
        floor_clips: clips of which a frame lies at the log floor, or is digital silence, as the
            model hears them.
        heard_clips: clips that were looked at for that.
        again: of the clips that were scored a second time, those whose label or scores differ.
        largest_difference: of a score between the two runs.
        zero, not_finite, exploding: of those clips, those whose gradient of the loss is zero, has a
            value that is not finite, or whose largest value is beyond :data:`EXPLODING`.
        largest_gradient: the largest value of any.
        like_probabilities: those whose logits lie in [0, 1] and add up to 1.
        clips: how many were scored a second time.
    """

    floor_clips: int
    heard_clips: int
    clips: int
    again: int
    largest_difference: float
    zero: int
    not_finite: int
    exploding: int
    largest_gradient: float
    like_probabilities: int


@dataclass(frozen=True)
class Written:
    """The adversarial inputs that were written to files, read back and measured.

    Attributes:
        inputs: how many.
        beyond: those that are farther from the clip than their strength allows.
        worst: of those, the largest distance over the radius.
    """

    inputs: int
    beyond: int
    worst: float


@dataclass(frozen=True, kw_only=True)
class Observed:
    """An audit that is scored.

    Attributes:
        summary: its figures.
        columns: its rows, as numbers.
        attacks: of the request, corruptions behind them.
        request: as it was stored.
        clips: what is known of each clip that was to be scored.
        corpus: id of the corpus; None for uploaded clips.
        training: what the model's configuration says of its training.
        probe: see :class:`Probe`.
        written: see :class:`Written`; None where nothing was kept.
    """

    summary: AuditSummary
    columns: Columns
    attacks: Sequence[Perturbation]
    request: Mapping[str, Any]
    clips: Sequence[ClipFacts] = ()
    corpus: str | None = None
    training: Provenance = field(default_factory=Provenance)
    probe: Probe | None = None
    written: Written | None = None

    @cached_property
    def clean(self) -> Table:
        """The clips as they are."""
        return self.columns.clean()

    @property
    def probed(self) -> Probe:
        """What was measured beside the rows.

        Raises:
            LookupError: nothing was.
        """
        if self.probe is None:
            raise LookupError("nothing was measured beside the rows")
        return self.probe

    @cached_property
    def places(self) -> dict[tuple[int, float], int]:
        """Places of the points in the curve, by attack and strength."""
        return {(p.attack, p.strength): place for place, p in enumerate(self.summary.curve)}

    @cached_property
    def adversaries(self) -> dict[int, Attack]:
        """The attacks that are no controls, by their index."""
        return {
            number: attack
            for number, attack in enumerate(self.attacks)
            if isinstance(attack, Attack) and not attack.control
        }

    @property
    def threats(self) -> list[ThreatModel]:
        """Of the adversaries."""
        return list(dict.fromkeys(attack.threat for attack in self.adversaries.values()))

    def which(self, kind: Callable[[Attack], bool]) -> list[int]:
        """The adversaries of a kind, by index."""
        return [number for number, attack in self.adversaries.items() if kind(attack)]

    def strengths(self, numbers: Collection[int], threat: ThreatModel) -> list[float]:
        """That these attacks have within a threat model, from the weakest to the strongest; those
        that allow nothing left out."""
        found = {
            strength
            for number in numbers
            if self.attacks[number].threat == threat
            for strength in self.attacks[number].strengths
            if strength or threat.smaller_is_harder
        }
        return sorted(found, key=threat.order)

    def broken(self, numbers: Collection[int], threat: ThreatModel, strength: float) -> "Broken":
        """What any of these attacks does at a strength, of the clips that were right before."""
        clean = self.clean
        any_wrong = np.zeros(self.columns.n, dtype=np.bool_)
        scored = np.zeros(self.columns.n, dtype=np.bool_)
        for number in numbers:
            place = self.places.get((number, strength))
            if place is None or self.attacks[number].threat != threat:
                continue
            point = self.columns.point(place)
            scored[point.clip] = True
            any_wrong[point.clip] |= ~point.right
        return Broken(scored & clean.right_before & clean.counted, any_wrong)


@dataclass(frozen=True)
class Broken:
    """Of all clips, (clips,): which count, and which the model is wrong on."""

    counted: Bools
    wrong: Bools

    def beside(self, other: "Broken") -> "Overlap":
        """Which clips each breaks that the other does not, of those that count for both."""
        both = self.counted & other.counted
        return Overlap(
            n=int(both.sum()),
            both=int((both & self.wrong & other.wrong).sum()),
            only_first=int((both & self.wrong & ~other.wrong).sum()),
            only_second=int((both & other.wrong & ~self.wrong).sum()),
        )


@dataclass(frozen=True)
class Overlap:
    """Clips that two attacks break, both or one alone."""

    n: int
    both: int
    only_first: int
    only_second: int

    @property
    def is_no_less(self) -> bool:
        """Whether the first, which should be weaker, does no less than the second: what it alone
        breaks is more than a hundredth of the clips, and not fewer than what the other alone
        breaks."""
        return self.only_first > 0.01 * self.n and self.only_first >= self.only_second

    @property
    def rates(self) -> tuple[float, float]:
        """Success of either."""
        first, second = self.both + self.only_first, self.both + self.only_second
        return first / max(1, self.n), second / max(1, self.n)


def sees_gradients(attack: Attack) -> bool:
    """Whether an attack is given the gradient of the model that is audited."""
    return attack.needs is Access.GRADIENTS


def is_single_step(attack: Attack) -> bool:
    """Whether it takes one gradient and no more, as FGSM does."""
    return sees_gradients(attack) and attack.run_cost(2).backwards <= 1


def is_iterative(attack: Attack) -> bool:
    """Whether it goes on from one gradient to the next."""
    return sees_gradients(attack) and attack.run_cost(2).backwards > 1


def is_black_box(attack: Attack) -> bool:
    """Whether it sees scores alone, or another model."""
    return not sees_gradients(attack)
