"""Table 3: adversarial clips beside noise as augmentation, by UAR on real clips.

The paper has one row for each and does not say of which network; here each network has its own. The
adversarial row is vanilla adversarial training at the ε that dev chose.
"""

from collections.abc import Iterator
from typing import ClassVar, Final

from models.audit.figure import Figures
from models.studies import paper
from models.studies.answers import CLEAN
from models.studies.findings import SINGLE, Findings
from models.studies.outcome import PARTITIONS, Partition
from models.studies.tables.performance import PerformanceTable
from models.studies.tables.table import (
    Entry,
    Record,
    Sheet,
    StudyTable,
    number,
    reasons,
    stand_ins,
    strength,
)

ADVERSARIAL: Final = "vanilla"
METHODS: Final = {
    SINGLE: "no augmentation (single)",
    "noise-audio": "raw audio with random noise",
    "noise-spectrogram": "spectrogram with random noise",
    ADVERSARIAL: "adversarial (vanilla)",
}
"""In words; the first is no row of the paper's, and what the others are to improve."""


class Baseline(Figures):
    """A way of augmentation for a network, with the ε that dev chose."""

    architecture: str
    training: str
    epsilon: float | None
    figures: dict[Partition, Entry]


class BaselinesTable(StudyTable):
    """UAR on real clips."""

    name: ClassVar[str] = "baselines"

    rows: list[Baseline]

    @classmethod
    def of(cls, findings: Findings, performance: PerformanceTable) -> "BaselinesTable":
        """Of all networks of the grid.

        Args:
            performance: says which ε dev chose.
        """
        return cls(
            rows=[
                _row(findings, performance, architecture, training)
                for architecture in findings.architectures
                for training in METHODS
            ]
        )

    def sheets(self) -> Iterator[Sheet]:
        """See :class:`StudyTable`."""
        yield Sheet(
            name="baselines",
            title="Table 3. UAR on real clips: adversarial clips and noise as augmentation",
            heads=("network", "augmentation", "ε", "dev", "test", "paper dev", "paper test"),
            rows=tuple(
                (
                    row.architecture,
                    METHODS[row.training],
                    strength(row.epsilon),
                    *(row.figures[partition].text for partition in PARTITIONS),
                    *(number(row.figures[partition].paper) for partition in PARTITIONS),
                )
                for row in self.rows
            ),
            notes=(
                *stand_ins(
                    (f"{row.architecture} {row.training}", row.figures["test"].estimate)
                    for row in self.rows
                ),
                *reasons(
                    [
                        (f"{row.architecture} {row.training} {partition}", entry)
                        for row in self.rows
                        for partition, entry in row.figures.items()
                    ]
                ),
            ),
        )

    def records(self) -> Iterator[Record]:
        """See :class:`StudyTable`."""
        for row in self.rows:
            for partition, entry in row.figures.items():
                yield Record(
                    table=self.name,
                    architecture=row.architecture,
                    training=row.training,
                    trained_epsilon=row.epsilon,
                    partition=partition,
                    condition="clean",
                    **entry.record(),
                )


def _row(
    findings: Findings, performance: PerformanceTable, architecture: str, training: str
) -> Baseline:
    chosen = performance.best(architecture, training)
    known = findings.settings(architecture, training)
    label, epsilon = next(iter(known), (training, None))
    if chosen is not None:
        label, epsilon = chosen.training, chosen.epsilon
    row = "adversarial" if training == ADVERSARIAL else training

    def entry(partition: Partition) -> Entry:
        published = paper.augmented(row, partition)
        if chosen is None and len(known) > 1:
            why = "none of its ε and parameters was audited on dev to choose from"
            return Entry(missing=why, paper=published)
        found = findings.estimate(architecture, label, epsilon, partition, CLEAN)
        return Entry.of(found, published)

    return Baseline(
        architecture=architecture,
        training=training,
        epsilon=epsilon,
        figures={partition: entry(partition) for partition in PARTITIONS},
    )
