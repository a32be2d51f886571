"""Which clips the models of a setting are right on: what every figure of a study is taken of.

A setting is one place of a table: an architecture, a training with its ε, a partition, and what is
done to the clips. Its models differ in their seed alone, and are set beside each other on the clips
that all of them were scored on.
"""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from models.audit.comparison.outcomes import NOT_SCORED, ClipKey, Outcomes, PointKey
from models.audit.intervals import Bools, Ints
from models.provenance import TrainedOn
from models.studies.outcome import CellOutcome, Partition

Change = Literal["clean", "fgsm", "pgd10", "worst_case", "noise"]
"""What is done to the log-mels of a clip, within L∞ of ε: nothing, FGSM, PGD with ten steps, all
attacks of the audit together, or random noise."""

NAMES: Final[dict[Change, str]] = {
    "clean": "real",
    "fgsm": "FGSM",
    "pgd10": "PGD-10",
    "worst_case": "worst case",
    "noise": "noise",
}
"""In words."""

PGD_STEPS: Final = 10
"""Of the column PGD-10."""


@dataclass(frozen=True)
class Condition:
    """What is done to the clips.

    Attributes:
        epsilon: in σ of a mel band; None for clips as they are.
    """

    change: Change
    epsilon: float | None = None

    @property
    def words(self) -> str:
        """Such as "FGSM at ε = 0.02"."""
        name = NAMES[self.change]
        return name if self.epsilon is None else f"{name} at ε = {self.epsilon:g}"


CLEAN: Final = Condition("clean")


@dataclass(frozen=True)
class Missing:
    """Why there is no figure, for people."""

    reason: str


@dataclass(frozen=True)
class Answers:
    """Of some models on the same clips.

    Attributes:
        clips: what they are known by, in the order of the arrays.
        truth: number of the class, (clips,).
        speaker: number of the speaker, (clips,); -1 if it is not known.
        right: whether a model is right, (seeds, clips).
        seeds: of the models.
        trained_on: what all of them were trained on.
        lacking: why seeds of the setting are not among them, for people.
    """

    clips: Sequence[ClipKey]
    truth: Ints
    speaker: Ints
    right: Bools
    seeds: tuple[int, ...]
    trained_on: TrainedOn
    lacking: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.clips)

    def on(self, clips: Sequence[ClipKey]) -> "Answers":
        """On some of the clips, in their order."""
        place = {clip: number for number, clip in enumerate(self.clips)}
        at = np.array([place[clip] for clip in clips], dtype=np.int64)
        return Answers(
            clips, self.truth[at], self.speaker[at], self.right[:, at], self.seeds,
            self.trained_on, self.lacking,
        )  # fmt: skip


def answers(
    cells: Sequence[CellOutcome], partition: Partition, condition: Condition
) -> Answers | Missing:
    """Of the cells that were scored so.

    Args:
        cells: of one setting: they differ in their seed alone.
    """
    if not cells:
        return Missing("not in the study")
    found: list[tuple[CellOutcome, Outcomes, Bools, Bools]] = []
    lacking = []
    for cell in sorted(cells, key=lambda one: one.seed):
        why = cell.why_missing(partition) or _unsuited(cell, partition, condition)
        if why:
            lacking.append(f"seed {cell.seed}: {why}")
            continue
        outcomes = cell.audits[partition].outcomes
        scored, right = _scored(outcomes, condition)
        found.append((cell, outcomes, scored & outcomes.labelled, right))
    if not found:
        return Missing("; ".join(dict.fromkeys(lacking)))
    return _beside(found, tuple(lacking))


def _unsuited(cell: CellOutcome, partition: Partition, condition: Condition) -> str:
    """Why an audit cannot say; "" if it can."""
    outcomes = cell.audits[partition].outcomes
    if condition.change != "clean" and not _places(outcomes, condition):
        return f"the audit has no {condition.words}"
    scored, _ = _scored(outcomes, condition)
    if not bool((scored & outcomes.labelled).any()):
        return f"the audit came to no labelled clip with {condition.words}"
    return ""


def _beside(
    found: Sequence[tuple[CellOutcome, Outcomes, Bools, Bools]], lacking: tuple[str, ...]
) -> Answers | Missing:
    """The models on the clips that all of them have."""
    _, first, *_ = found[0]
    if any(outcomes.labels != first.labels for _, outcomes, *_ in found):
        return Missing("its seeds were audited with different emotions")
    every = [outcomes for _, outcomes, *_ in found]
    clips, at = _shared(every)
    kept = np.logical_and.reduce(
        [scored[place] for (*_, scored, _), place in zip(found, at, strict=True)]
    )
    if not bool(kept.any()):
        return Missing("its seeds have no scored clip in common")
    at = [place[kept] for place in at]
    return Answers(
        clips=[clip for clip, keep in zip(clips, kept.tolist(), strict=True) if keep],
        truth=first.truth[at[0]],
        speaker=first.speaker[at[0]],
        right=np.stack([right[place] for (*_, right), place in zip(found, at, strict=True)]),
        seeds=tuple(cell.seed for cell, *_ in found),
        trained_on=found[0][0].train_on,
        lacking=lacking,
    )


def _shared(every: Sequence[Outcomes]) -> tuple[list[ClipKey], list[Ints]]:
    """The clips that all audits have, in the order of the first, and their places in each."""
    first, *others = (one.places for one in every)
    clips = [clip for clip in first if all(clip in one for one in others)] if others else [*first]
    return clips, [
        np.fromiter((one.places[clip] for clip in clips), np.int64, len(clips)) for one in every
    ]


def _scored(outcomes: Outcomes, condition: Condition) -> tuple[Bools, Bools]:
    """Which clips the audit came to, and which of them the model is right on."""
    before: Bools = outcomes.before == outcomes.truth
    if condition.change == "clean":
        return np.ones_like(before), before
    scored, right = np.ones_like(before), np.ones_like(before)
    for place in _places(outcomes, condition):
        scored &= outcomes.success(place) != NOT_SCORED
        right &= outcomes.after(place) == outcomes.truth
    # As in `models.audit.worst_case`: an attacker leaves alone what is wrong already.
    return scored, right & before if condition.change == "worst_case" else right


def _places(outcomes: Outcomes, condition: Condition) -> list[int]:
    """The points of the curve that a condition is made of: one, or all of a worst case."""
    epsilon = condition.epsilon or 0.0
    if condition.change == "worst_case":
        own = [(n, key) for n, key in enumerate(outcomes.keys) if _is_adversary(key)]
        reached = any(_same(key.strength, epsilon) for _, key in own)
        return [n for n, key in own if reached and key.strength <= epsilon * (1 + 1e-9)]
    return [
        n
        for n, key in enumerate(outcomes.keys)
        if _same(key.strength, epsilon) and _is_attack(key, condition.change)
    ][:1]


def _is_attack(key: PointKey, change: Change) -> bool:
    """Whether a point is one of what a column shows, whatever its strength; a worst case is none:
    it has many."""
    if (key.domain, key.norm) != ("features", "linf"):
        return False
    parameters = json.loads(key.parameters)
    if parameters.get("goal", "untargeted") != "untargeted":
        return False
    if change == "noise":
        return key.control and key.type == "noise"
    if change == "pgd10":
        return key.type == "pgd" and parameters.get("steps") == PGD_STEPS
    return key.type == change


def _is_adversary(key: PointKey) -> bool:
    return (key.domain, key.norm) == ("features", "linf") and not key.control


def _same(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=1e-6)
