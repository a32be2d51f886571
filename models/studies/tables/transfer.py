"""Transfer: adversarial clips that were made on one model of the study, tried on another.

Each line is one model that is attacked and one that the attack was carried out on, at their seeds;
the diagonal is the same attack on the model itself. Figures are those of the audits.
"""

from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from pydantic import Field

from models.audit.figure import Figure, Figures
from models.audit.result import AttackOfResult, CurvePoint
from models.studies.findings import Findings
from models.studies.outcome import PARTITIONS, CellOutcome, Partition
from models.studies.tables.table import (
    NOTHING,
    Record,
    Sheet,
    StudyTable,
    figure_record,
    interval,
    number,
    strength,
)


class Transferred(Figures):
    """An attack that was carried out on `source`, tried on `target`, at one strength."""

    source: str = Field(description="A cell of the study; else the id of a model.")
    target: str
    partition: Partition
    attack: str = Field(description="That was carried out on the source.", examples=["fgsm"])
    strength: float
    unit: str
    success_rate: Figure | None
    uar: Figure | None
    linf: float | None = Field(description="Median largest change, in the unit of the strength.")
    l2: float | None = Field(description="Median Euclidean norm of the change.")
    band_db: float | None = Field(
        description="Median change, in dB, of the band that changes the most."
    )
    n: int = Field(description="Clips that were scored.")


class TransferTable(StudyTable):
    """Success, UAR and distortion, source × target."""

    name: ClassVar[str] = "transfer"

    rows: list[Transferred]
    missing: str | None = Field(default=None, description="Why there is none.")

    @classmethod
    def of(cls, findings: Findings) -> "TransferTable":
        """Of all audits with a transfer."""
        names = {cell.model: cell.name for cell in findings.cells if cell.model is not None}
        rows = [
            row
            for cell in findings.cells
            for partition in PARTITIONS
            for row in _of_cell(cell, partition, names)
        ]
        missing = None if rows else "no audit of the study tried an attack of another model"
        return cls(rows=rows, missing=missing)

    def sheets(self) -> Iterator[Sheet]:
        """A matrix for each partition, attack and strength, then all figures."""
        keys = list(dict.fromkeys((r.partition, r.attack, r.strength, r.unit) for r in self.rows))
        for number_, key in enumerate(keys, start=1):
            rows = [r for r in self.rows if (r.partition, r.attack, r.strength, r.unit) == key]
            yield _matrix(rows, f"transfer-{number_}")
        yield Sheet(
            name="transfer",
            title="Transfer of adversarial clips between models",
            heads=(
                "source", "target", "clips", "attack", "strength", "success", "UAR",
                "median L∞", "median L2", "median dB", "n",
            ),
            rows=tuple(_line(row) for row in self.rows),
            notes=() if self.missing is None else (f"{self.missing.capitalize()}.",),
        )  # fmt: skip

    def records(self) -> Iterator[Record]:
        """See :class:`StudyTable`."""
        if self.missing is not None:
            yield Record(table=self.name, figure="success_rate", missing=self.missing)
        for row in self.rows:
            for figure in ("success_rate", "uar"):
                yield Record(
                    table=self.name,
                    of=row.target,
                    against=row.source,
                    partition=row.partition,
                    condition=row.attack,
                    epsilon=row.strength,
                    **figure_record(figure, getattr(row, figure)),
                )
            for figure in ("linf", "l2", "band_db"):
                yield Record(
                    table=self.name,
                    of=row.target,
                    against=row.source,
                    partition=row.partition,
                    condition=row.attack,
                    epsilon=row.strength,
                    figure=f"median {figure}",
                    value=getattr(row, figure),
                    n=row.n,
                )


def _of_cell(
    cell: CellOutcome, partition: Partition, names: dict[str, str]
) -> Iterator[Transferred]:
    """Attacks of other models on this one, and the same attacks of its own."""
    own = [cell.audits[partition]] if partition in cell.audits else []
    every = [*own, *(cell.transfers if partition == "test" else ())]
    tried = set()
    for audited in every:
        attacks = audited.result.attacks
        for point in audited.result.curve:
            attack = attacks[point.attack]
            if attack.type == "transfer":
                source, inner = str(attack.parameters["from"]), attack.parameters["attack"]
                tried.add((_identity(inner), point.strength))
                name = names.get(source, source)
                yield _row(cell, partition, point, attack, name, str(inner["type"]))
    for audited in own:
        for point in audited.result.curve:
            attack = audited.result.attacks[point.attack]
            identity = _identity({"type": attack.type, **attack.parameters})
            if (identity, point.strength) in tried:
                yield _row(cell, partition, point, attack, cell.name, attack.type)


def _identity(attack: dict[str, Any]) -> str:
    """The same for two attacks that differ in nothing but their strengths."""
    own = {
        name: value
        for name, value in attack.items()
        if name not in ("epsilon", "snr_db", "minimum")
    }
    return str(sorted(own.items(), key=lambda one: one[0]))


def _row(
    cell: CellOutcome,
    partition: Partition,
    point: CurvePoint,
    attack: AttackOfResult,
    source: str,
    carried: str,
) -> Transferred:
    sizes = point.distortion
    return Transferred(
        source=source,
        target=cell.name,
        partition=partition,
        attack=carried,
        strength=point.strength,
        unit=attack.threat.unit,
        success_rate=point.measures.get("success_rate"),
        uar=point.measures.get("uar"),
        linf=sizes and sizes.linf,
        l2=sizes and sizes.l2,
        band_db=sizes and sizes.band_db,
        n=point.n,
    )


def _matrix(rows: Sequence[Transferred], name: str) -> Sheet:
    """Success, sources down and targets across."""
    sources = list(dict.fromkeys(row.source for row in rows))
    targets = list(dict.fromkeys(row.target for row in rows))
    at = {(row.source, row.target): _figure(row.success_rate) for row in rows}
    one = rows[0]
    return Sheet(
        name=name,
        title=f"Success of {one.attack} at {strength(one.strength)} {one.unit} on {one.partition}:"
        " made on the model of the line, tried on that of the column",
        heads=("made on", *targets),
        rows=tuple(
            (source, *(at.get((source, target), NOTHING) for target in targets))
            for source in sources
        ),
    )


def _figure(found: Figure | None) -> str:
    if found is None or found.value is None:
        return NOTHING
    return f"{number(found.value)} {interval(found.interval)}".rstrip()


def _size(value: float | None) -> str:
    return NOTHING if value is None else f"{value:.3g}"


def _line(row: Transferred) -> tuple[str, ...]:
    return (
        row.source,
        row.target,
        row.partition,
        row.attack,
        f"{strength(row.strength)} {row.unit}",
        _figure(row.success_rate),
        _figure(row.uar),
        _size(row.linf),
        _size(row.l2),
        _size(row.band_db),
        str(row.n),
    )
