"""Table 2: UAR of every architecture, training and ε, on real and on adversarial clips.

Beside the paper's columns stand those that it lacks: PGD-10, the worst case of all attacks, and
noise of the same size, which has no adversary. Adversarial clips are of the ε that the model was
trained with; a model that was trained without one is attacked at every ε of the grid, which is its
curve (Figure 3).
"""

from collections.abc import Iterator, Sequence
from typing import ClassVar, Final

from pydantic import Field

from models.audit.figure import Figures
from models.studies import paper
from models.studies.answers import CLEAN, NAMES, Change, Condition
from models.studies.estimate import Estimate
from models.studies.findings import Findings, family
from models.studies.outcome import PARTITIONS, Partition
from models.studies.tables.table import (
    NOTHING,
    Entry,
    Record,
    Sheet,
    StudyTable,
    number,
    reasons,
    stand_ins,
    strength,
)

CHANGES: Final[tuple[Change, ...]] = ("clean", "fgsm", "pgd10", "worst_case", "noise")
OF_THE_PAPER: Final[tuple[Change, ...]] = ("clean", "fgsm")


class PerformanceRow(Figures):
    """The models of an architecture and a training, attacked at one ε."""

    architecture: str
    training: str
    trained_epsilon: float | None = Field(description="Null for a training without.")
    epsilon: float | None = Field(description="Of the attacks; null for clips as they are.")
    figures: dict[Change, dict[Partition, Entry]] = Field(
        description="By what is done to the clips, and by partition."
    )
    seconds: float | None = Field(
        description="Wall time of a training on `train`, mean over the seeds that have a model."
    )

    @property
    def place(self) -> str:
        """In words."""
        return f"{self.architecture} {self.training} {strength(self.epsilon)}"


class Chosen(Figures):
    """The ε that dev chooses for a training: the highest UAR on real dev clips, of models that were
    trained on train; of equals the smallest."""

    architecture: str
    training: str
    epsilon: float | None
    dev: Entry
    test: Entry


class PerformanceTable(StudyTable):
    """UAR, with 95 % intervals by speaker and seed."""

    name: ClassVar[str] = "performance"

    rows: list[PerformanceRow]
    chosen: list[Chosen]

    @classmethod
    def of(cls, findings: Findings) -> "PerformanceTable":
        """Of all cells of the grid."""
        pairs = [(a, t) for t in findings.trainings for a in findings.architectures]
        return cls(
            rows=[row for pair in pairs for row in _rows(findings, *pair)],
            chosen=[one for pair in pairs for one in _chosen(findings, *pair)],
        )

    def best(self, architecture: str, training: str) -> Chosen | None:
        """What dev chose of a type of training, over its parameters and ε; None if no such model
        was audited on dev."""
        known = [
            (one.dev.estimate.value, one)
            for one in self.chosen
            if one.architecture == architecture
            and family(one.training) == training
            and one.dev.estimate is not None
        ]
        return max(known, key=lambda each: each[0])[1] if known else None

    def sheets(self) -> Iterator[Sheet]:
        """As the paper has it, then everything of each architecture, then what dev chose."""
        architectures = list(dict.fromkeys(row.architecture for row in self.rows))
        yield self._as_the_paper(architectures)
        for architecture in architectures:
            yield self._whole([row for row in self.rows if row.architecture == architecture])
        yield self._choices()

    def records(self) -> Iterator[Record]:
        """See :class:`StudyTable`."""
        for row in self.rows:
            for change, by_partition in row.figures.items():
                for partition, entry in by_partition.items():
                    yield Record(
                        table=self.name,
                        architecture=row.architecture,
                        training=row.training,
                        trained_epsilon=row.trained_epsilon,
                        partition=partition,
                        condition=change,
                        epsilon=None if change == "clean" else row.epsilon,
                        **entry.record(),
                    )

    def _as_the_paper(self, architectures: Sequence[str]) -> Sheet:
        """Training and ε down, architectures across: real and fake, dev and test."""
        keys = list(dict.fromkeys((row.training, row.epsilon) for row in self.rows))
        at = {(row.training, row.epsilon, row.architecture): row for row in self.rows}
        columns = [(a, change, p) for a in architectures for change in OF_THE_PAPER
                   for p in PARTITIONS]  # fmt: skip
        lines, entries = [], []
        for training, epsilon in keys:
            cells = []
            for architecture, change, partition in columns:
                row = at.get((training, epsilon, architecture))
                entry = None if row is None else row.figures.get(change, {}).get(partition)
                cells.append(NOTHING if entry is None else _with_paper(entry))
                if row is not None and entry is not None:
                    entries.append((f"{row.place} {NAMES[change]} {partition}", entry))
            lines.append((training, _told(epsilon), *cells))
        fake = {"clean": "real", "fgsm": "fake"}
        return Sheet(
            name="performance",
            title="Table 2. UAR on real and on adversarial (FGSM) clips, in brackets the paper's",
            heads=("training", "ε", *(f"{a} {fake[c]} {p}" for a, c, p in columns)),
            rows=tuple(lines),
            notes=(*stand_ins(_of_test(self.rows)), *reasons(entries)),
        )

    def _whole(self, rows: Sequence[PerformanceRow]) -> Sheet:
        """Everything of an architecture."""
        architecture = rows[0].architecture
        columns = [(change, partition) for change in CHANGES for partition in PARTITIONS]
        lines, entries = [], []
        for row in rows:
            cells = []
            for change, partition in columns:
                entry = row.figures.get(change, {}).get(partition)
                cells.append(NOTHING if entry is None else entry.text)
                if entry is not None:
                    entries.append((f"{row.place} {NAMES[change]} {partition}", entry))
            lines.append(
                (row.training, _told(row.epsilon), *cells, _taken_of(row), _wall(row.seconds))
            )
        return Sheet(
            name=f"performance-{architecture}",
            title=f"{architecture}: UAR under every attack, and under noise of the same size",
            heads=(
                "training", "ε", *(f"{NAMES[c]} {p}" for c, p in columns),
                "seeds / speakers / clips (dev; test)", "training, s",
            ),
            rows=tuple(lines),
            notes=(*stand_ins(_of_test(rows)), *reasons(entries)),
        )  # fmt: skip

    def _choices(self) -> Sheet:
        return Sheet(
            name="chosen",
            title="The ε that real dev clips choose for each training",
            heads=("network", "training", "ε", "real dev", "real test"),
            rows=tuple(
                (one.architecture, one.training, strength(one.epsilon), one.dev.text, one.test.text)
                for one in self.chosen
            ),
            notes=(
                "Dev figures are the highest of several, so they are too high for new clips.",
                *stand_ins(
                    (f"{one.architecture} {one.training}", one.test.estimate) for one in self.chosen
                ),
            ),
        )


def _rows(findings: Findings, architecture: str, training: str) -> Iterator[PerformanceRow]:
    for trained in findings.epsilons_of(architecture, training):
        if trained is not None:
            yield _row(findings, architecture, training, trained, trained, CHANGES)
            continue
        yield _row(findings, architecture, training, None, None, ("clean",))
        for epsilon in sorted(findings.epsilons):
            yield _row(findings, architecture, training, None, epsilon, CHANGES[1:])


def _row(
    findings: Findings,
    architecture: str,
    training: str,
    trained: float | None,
    epsilon: float | None,
    changes: Sequence[Change],
) -> PerformanceRow:
    figures: dict[Change, dict[Partition, Entry]] = {}
    for change in changes:
        condition = CLEAN if change == "clean" else Condition(change, epsilon)
        figures[change] = {
            partition: Entry.of(
                findings.estimate(architecture, training, trained, partition, condition),
                _paper(change, architecture, training, trained, partition),
            )
            for partition in PARTITIONS
        }
    seconds = [
        cell.seconds
        for cell in findings.at(architecture, training, trained, "dev")
        if cell.seconds is not None and cell.missing is None
    ]
    return PerformanceRow(
        architecture=architecture,
        training=training,
        trained_epsilon=trained,
        epsilon=epsilon,
        figures=figures,
        seconds=sum(seconds) / len(seconds) if seconds else None,
    )


def _paper(
    change: Change, architecture: str, training: str, trained: float | None, partition: Partition
) -> float | None:
    if change == "clean":
        return paper.real(architecture, training, trained, partition)
    if change == "fgsm":
        return paper.fake(architecture, training, trained, partition)
    return None


def _chosen(findings: Findings, architecture: str, training: str) -> Iterator[Chosen]:
    def real(epsilon: float | None, partition: Partition) -> Entry:
        found = findings.estimate(architecture, training, epsilon, partition, CLEAN)
        return Entry.of(found, paper.real(architecture, training, epsilon, partition))

    entries = [(one, real(one, "dev")) for one in findings.epsilons_of(architecture, training)]
    known = [
        (entry.estimate.value, epsilon, entry)
        for epsilon, entry in entries
        if entry.estimate is not None
    ]
    if known:
        _, epsilon, dev = max(known, key=lambda one: one[0])  # the first of equals
        yield Chosen(
            architecture=architecture,
            training=training,
            epsilon=epsilon,
            dev=dev,
            test=real(epsilon, "test"),
        )


def _told(epsilon: float | None) -> str:
    """As the paper, which has .00 for clips as they are."""
    return ".00" if epsilon is None else strength(epsilon)


def _with_paper(entry: Entry) -> str:
    """Such as ".602 (.826)"; the intervals have room in the tables of the networks."""
    value = number(None if entry.estimate is None else entry.estimate.value)
    return value if entry.paper is None else f"{value} ({number(entry.paper)})"


def _of_test(rows: Sequence[PerformanceRow]) -> Iterator[tuple[str, Estimate | None]]:
    """Test figures with their places."""
    for row in rows:
        for by_partition in row.figures.values():
            yield row.place, by_partition["test"].estimate


def _taken_of(row: PerformanceRow) -> str:
    """Seeds, speakers and clips of dev and of test: the fewest of the row."""
    told = []
    for partition in PARTITIONS:
        found = [by_partition[partition].estimate for by_partition in row.figures.values()]
        known = [one for one in found if one is not None]
        if not known:
            told.append(NOTHING)
            continue
        least = min(known, key=lambda one: (len(one.seeds), one.n))
        speakers = NOTHING if least.n_speakers is None else str(least.n_speakers)
        told.append(f"{len(least.seeds)} / {speakers} / {least.n}")
    return "; ".join(told)


def _wall(seconds: float | None) -> str:
    return NOTHING if seconds is None else f"{seconds:,.0f}"
