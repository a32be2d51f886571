"""A study's cells, found by what a table asks for: architecture, training, ε, partition."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from models.studies.answers import Answers, Condition, Missing, answers
from models.studies.estimate import OTHER_DATA, Estimate, estimate
from models.studies.outcome import CellOutcome, Partition

SINGLE: Final = "single"
"""The training without a defence."""
AUGMENTED: Final = ("noise-audio", "noise-spectrogram")
"""Trainings that vary the clips with noise: the paper's baselines (Table 3)."""
OF_THE_PAPER: Final = ("vanilla", "similarity")
"""Its two adversarial trainings."""

Setting = tuple[str, str, float | None, Partition, Condition]
"""Architecture, training, ε of the training, partition, and what is done to the clips."""


@dataclass(frozen=True)
class Findings:
    """All cells of a study, finished or not.

    Attributes:
        cells: in the order of the grid.
        epsilons: of the grid, in σ of a mel band: strengths at which models are attacked.
    """

    cells: Sequence[CellOutcome]
    epsilons: Sequence[float]
    _answers: dict[tuple[Setting, bool], Answers | Missing] = field(
        default_factory=dict, repr=False, compare=False
    )
    _estimates: dict[Setting, Estimate | Missing] = field(
        default_factory=dict, repr=False, compare=False
    )

    @property
    def architectures(self) -> list[str]:
        """In the order of the grid."""
        return list(dict.fromkeys(cell.architecture for cell in self.cells))

    @property
    def trainings(self) -> list[str]:
        """In the order of the grid."""
        return list(dict.fromkeys(cell.training for cell in self.cells))

    @property
    def adversarial(self) -> list[str]:
        """Trainings that learn from adversarial clips."""
        return [one for one in self.trainings if family(one) not in (SINGLE, *AUGMENTED)]

    def epsilons_of(self, architecture: str, training: str) -> list[float | None]:
        """That it was trained with, ascending; [None] for a training without, [] without any."""
        found = {
            cell.epsilon
            for cell in self.cells
            if (cell.architecture, cell.training) == (architecture, training)
        }
        return sorted(found, key=lambda one: -1.0 if one is None else one)

    def label(self, architecture: str, kind: str) -> str:
        """Of the only training of a type that a network has, such as "noise-spectrogram
        kind=uniform"; the type where it has none, or several that nothing chooses from."""
        found = {
            cell.training
            for cell in self.cells
            if cell.architecture == architecture and family(cell.training) == kind
        }
        return found.pop() if len(found) == 1 else kind

    def settings(self, architecture: str, kind: str) -> list[tuple[str, float | None]]:
        """All trainings of a type that a network has, with their ε."""
        return [
            (label, epsilon)
            for label in self.trainings
            if family(label) == kind
            for epsilon in self.epsilons_of(architecture, label)
        ]

    def at(
        self,
        architecture: str,
        training: str,
        epsilon: float | None,
        partition: Partition,
        *,
        on_train: bool = False,
    ) -> list[CellOutcome]:
        """The cells that a figure is taken of, one a seed.

        The paper takes dev figures of models that were trained on train, and test figures of those
        that were trained on train and dev. Where no such model was audited on test, those that were
        trained on train stand in, and the figure says so.

        Args:
            on_train: whether those that were trained on train are asked for in any case.
        """
        own = [
            cell
            for cell in self.cells
            if (cell.architecture, cell.training) == (architecture, training)
            and _same(cell.epsilon, epsilon)
        ]
        on_train_alone = [cell for cell in own if cell.train_on == "train"]
        if on_train or partition == "dev":
            return on_train_alone
        on_both = [cell for cell in own if cell.train_on == "train+dev"]
        audited = any(partition in cell.audits for cell in on_both)
        stand_in = any(partition in cell.audits for cell in on_train_alone)
        if stand_in and not audited:
            return on_train_alone
        return on_both or on_train_alone

    def answers(
        self,
        architecture: str,
        training: str,
        epsilon: float | None,
        partition: Partition,
        condition: Condition,
        *,
        on_train: bool = False,
    ) -> Answers | Missing:
        """What the models of a setting are right on.

        Args:
            on_train: see :meth:`at`.
        """
        key = (architecture, training, epsilon, partition, condition)
        if (key, on_train) not in self._answers:
            cells = self.at(architecture, training, epsilon, partition, on_train=on_train)
            self._answers[key, on_train] = answers(cells, partition, condition)
        return self._answers[key, on_train]

    def alike(self, settings: Sequence[Setting]) -> list[Answers | Missing]:
        """The same of settings that are to be compared, of models that learnt from the same data.

        Where those that were trained on train stand in for some, they do for all, so a study that
        is done in part compares like with like.
        """
        found = [self.answers(*one) for one in settings]
        if len({one.trained_on for one in found if isinstance(one, Answers)}) < 2:
            return found
        same = [self.answers(*one, on_train=True) for one in settings]
        return [
            Missing(OTHER_DATA) if isinstance(one, Missing) and isinstance(own, Answers) else one
            for own, one in zip(found, same, strict=True)
        ]

    def estimate(
        self,
        architecture: str,
        training: str,
        epsilon: float | None,
        partition: Partition,
        condition: Condition,
    ) -> Estimate | Missing:
        """UAR of a setting; several tables show the same."""
        key = (architecture, training, epsilon, partition, condition)
        if key not in self._estimates:
            found = self.answers(*key)
            self._estimates[key] = found if isinstance(found, Missing) else estimate(found)
        return self._estimates[key]


def family(training: str) -> str:
    """The type of a training, without the parameters that its label has behind it."""
    return training.split(" ", 1)[0]


def _same(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return math.isclose(one, other, rel_tol=1e-6)
