"""Figure 3: UAR of every model against ε, under each attack and under noise of the same size.

The paper draws the models that were trained without a defence, under FGSM.
"""

from collections.abc import Iterator
from typing import ClassVar, Final

from pydantic import Field

from models.audit.figure import Figures
from models.studies.answers import CLEAN, NAMES, Change, Condition
from models.studies.findings import Findings
from models.studies.outcome import PARTITIONS, Partition
from models.studies.tables.table import (
    Entry,
    Record,
    Sheet,
    StudyTable,
    reasons,
    stand_ins,
    strength,
)

CHANGES: Final[tuple[Change, ...]] = ("fgsm", "pgd10", "worst_case", "noise")


class CurvePoint(Figures):
    """UAR at one strength."""

    epsilon: float | None = Field(description="Null for clips as they are.")
    entry: Entry


class Curve(Figures):
    """The models of a setting, against the strength of an attack."""

    architecture: str
    training: str
    trained_epsilon: float | None
    change: Change
    partition: Partition
    points: list[CurvePoint]

    @property
    def model(self) -> str:
        """Such as "cnn4 vanilla .06"."""
        trained = "" if self.trained_epsilon is None else f" {strength(self.trained_epsilon)}"
        return f"{self.architecture} {self.training}{trained}"


class CurvesTable(StudyTable):
    """UAR against ε; attacks that no audit ran have no curve."""

    name: ClassVar[str] = "curves"

    curves: list[Curve]

    @classmethod
    def of(cls, findings: Findings) -> "CurvesTable":
        """Of all settings of the grid, at its strengths."""
        every = [
            _curve(findings, architecture, training, trained, change, partition)
            for change in CHANGES
            for partition in PARTITIONS
            for architecture in findings.architectures
            for training in findings.trainings
            for trained in findings.epsilons_of(architecture, training)
        ]
        return cls(
            curves=[
                curve
                for curve in every
                if any(p.entry.estimate is not None for p in curve.points if p.epsilon is not None)
            ]
        )

    def sheets(self) -> Iterator[Sheet]:
        """One for each attack and partition."""
        for change, partition in dict.fromkeys((c.change, c.partition) for c in self.curves):
            own = [c for c in self.curves if (c.change, c.partition) == (change, partition)]
            epsilons = [point.epsilon for point in own[0].points]
            yield Sheet(
                name=f"curves-{change.replace('_', '-')}-{partition}",
                title=f"UAR against ε, {NAMES[change]}, {partition}",
                heads=("model", *("real" if one is None else strength(one) for one in epsilons)),
                rows=tuple((c.model, *(p.entry.text for p in c.points)) for c in own),
                notes=(
                    *stand_ins(
                        (c.model, p.entry.estimate)
                        for c in own
                        for p in c.points
                        if partition == "test"
                    ),
                    *reasons(
                        [
                            (f"{c.model} {'real' if p.epsilon is None else strength(p.epsilon)}",
                             p.entry)
                            for c in own
                            for p in c.points
                        ]
                    ),
                ),
            )  # fmt: skip

    def records(self) -> Iterator[Record]:
        """See :class:`StudyTable`."""
        for curve in self.curves:
            for point in curve.points:
                yield Record(
                    table=self.name,
                    architecture=curve.architecture,
                    training=curve.training,
                    trained_epsilon=curve.trained_epsilon,
                    partition=curve.partition,
                    condition="clean" if point.epsilon is None else curve.change,
                    epsilon=point.epsilon,
                    **point.entry.record(),
                )


def _curve(
    findings: Findings,
    architecture: str,
    training: str,
    trained: float | None,
    change: Change,
    partition: Partition,
) -> Curve:
    conditions = [CLEAN, *(Condition(change, one) for one in sorted(findings.epsilons))]
    return Curve(
        architecture=architecture,
        training=training,
        trained_epsilon=trained,
        change=change,
        partition=partition,
        points=[
            CurvePoint(
                epsilon=one.epsilon,
                entry=Entry.of(findings.estimate(architecture, training, trained, partition, one)),
            )
            for one in conditions
        ],
    )
