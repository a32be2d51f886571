"""What the study cost: wall time of each training and of its audits."""

from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field

from models.audit.figure import Figures
from models.studies.findings import SINGLE, Findings
from models.studies.outcome import CellOutcome
from models.studies.tables.table import NOTHING, Record, Sheet, StudyTable, strength


class Cost(Figures):
    """Of one cell."""

    cell: str
    architecture: str
    training: str
    epsilon: float | None
    seed: int
    trained_on: str
    iterations: int | None = Field(
        description="That it was trained for; null where it has not come to its end."
    )
    seconds: float | None = Field(description="Wall time of the training.")
    iterations_per_second: float | None
    times_single: float | None = Field(
        description="Seconds an iteration, over the mean of those of the network's trainings on"
        " clean clips on the same device."
    )
    device: str | None
    audit_seconds: float | None = Field(description="Spent in the attacks of its audits.")
    missing: str | None


class CostsTable(StudyTable):
    """Wall times, cell by cell."""

    name: ClassVar[str] = "costs"

    rows: list[Cost]

    @classmethod
    def of(cls, findings: Findings) -> "CostsTable":
        """Of all cells."""
        return cls(rows=[_cost(findings, cell) for cell in findings.cells])

    def sheets(self) -> Iterator[Sheet]:
        """See :class:`StudyTable`."""
        yield Sheet(
            name="costs",
            title="What the study cost",
            heads=(
                "network", "training", "ε", "seed", "trained on", "iterations", "training, s",
                "iterations a second", "times single", "audits, s", "device",
            ),
            rows=tuple(_line(row) for row in self.rows),
            notes=tuple(f"{row.cell}: {row.missing}." for row in self.rows if row.missing),
        )  # fmt: skip

    def records(self) -> Iterator[Record]:
        """See :class:`StudyTable`."""
        for row in self.rows:
            for figure in (
                "iterations", "seconds", "iterations_per_second", "times_single", "audit_seconds",
            ):  # fmt: skip
                yield Record(
                    table=self.name,
                    architecture=row.architecture,
                    training=row.training,
                    trained_epsilon=row.epsilon,
                    seed=row.seed,
                    trained_on=row.trained_on,
                    of=row.device,
                    figure=figure,
                    value=getattr(row, figure),
                    missing=row.missing,
                )


def _cost(findings: Findings, cell: CellOutcome) -> Cost:
    own = _seconds_each(cell)
    single = [
        each
        for one in findings.cells
        if (one.architecture, one.training, one.device) == (cell.architecture, SINGLE, cell.device)
        and (each := _seconds_each(one)) is not None
    ]
    audits = [one.result.cost.seconds for one in cell.audits.values()]
    return Cost(
        cell=cell.name,
        architecture=cell.architecture,
        training=cell.training,
        epsilon=cell.epsilon,
        seed=cell.seed,
        trained_on=cell.train_on,
        iterations=cell.iterations if cell.missing is None else None,
        seconds=cell.seconds,
        iterations_per_second=None if own is None else 1 / own,
        times_single=None if own is None or not single else own * len(single) / sum(single),
        device=cell.device,
        audit_seconds=sum(audits) if audits else None,
        missing=cell.missing,
    )


def _seconds_each(cell: CellOutcome) -> float | None:
    """Of an iteration; None where it is not known."""
    if not cell.seconds or not cell.iterations or cell.missing is not None:
        return None
    return cell.seconds / cell.iterations


def _line(row: Cost) -> tuple[str, ...]:
    def told(value: float | None, shape: str) -> str:
        return NOTHING if value is None else format(value, shape)

    return (
        row.architecture,
        row.training,
        strength(row.epsilon),
        str(row.seed),
        row.trained_on,
        told(row.iterations, ",d"),
        told(row.seconds, ",.0f"),
        told(row.iterations_per_second, ".2f"),
        told(row.times_single, ".2f"),
        told(row.audit_seconds, ",.0f"),
        row.device or NOTHING,
    )
