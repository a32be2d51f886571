"""A study's result: its tables and claims, with a caption that says what they were made by."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from pydantic import Field

from models.audit.figure import Figures
from models.corpus.manifest import Manifest
from models.studies.claims import ClaimsTable
from models.studies.deviations import Deviation
from models.studies.estimate import METHODS, Drawn
from models.studies.findings import Findings
from models.studies.paper import PAPER
from models.studies.pictured import Pictured, pictured
from models.studies.tables import (
    BaselinesTable,
    CostsTable,
    PartitionTable,
    PerformanceTable,
    SignificanceTable,
    StudyTable,
    TransferTable,
)
from models.studies.tables.curves import CurvesTable

INTERVALS: Final = (
    "Each figure is UAR, the mean over seeds, with a 95 % interval for which speakers are drawn"
    " and, where there are several, seeds. Where a partition has fewer than 5 speakers, or they are"
    " unknown, clips are drawn, and the interval says nothing of other speakers. A dash has no"
    " figure, for the reason below its table."
)
BESIDE: Final = (
    f"Where figures of the paper stand beside ours, they are of {PAPER}: another corpus, not to be"
    " compared number by number."
)


class Caption(Figures):
    """What a reader has to know of all tables."""

    corpus: str
    protocol: str = Field(description="The preset, or in a sentence how models were trained.")
    iterations: list[int] = Field(description="That models were trained for, each number once.")
    devices: list[str] = Field(description="That they were trained on.")
    seeds: list[int]
    attacks: list[str] = Field(description="Of the audits, with their parameters, each once.")
    deviations: list[Deviation]
    finished: int = Field(description="Cells that have a model.")
    of: int = Field(description="Cells of the grid.")

    @property
    def sentences(self) -> list[str]:
        """For people."""
        trained = ", ".join(f"{one:,}" for one in self.iterations) or "an unknown number of"
        deviations = "; ".join(
            f"{one.field} {one.value} in place of {one.of_the_preset}" for one in self.deviations
        )
        trained_on = ", ".join(self.devices) or "an unknown device"
        seeds = ", ".join(map(str, self.seeds))
        cells = f"{self.finished} of {self.of} cells have a model"
        return [
            f"Corpus: {self.corpus}. Protocol: {self.protocol}, {trained} iterations.",
            f"Deviations from it: {deviations or 'none'}.",
            f"Trained on {trained_on}; seeds {seeds}; {cells}.",
            f"Attacks of the audits: {'; '.join(self.attacks) or 'none'}.",
            INTERVALS,
            BESIDE,
        ]


class StudyResult(Figures):
    """All that a study found."""

    caption: Caption
    partition: PartitionTable
    performance: PerformanceTable
    baselines: BaselinesTable
    curves: CurvesTable
    significance: SignificanceTable
    transfer: TransferTable
    costs: CostsTable
    claims: ClaimsTable
    figure_2: list[Pictured] = Field(
        default_factory=list,
        description="Audits whose artifacts `figure2-1.png` and on show a clip as it is and under"
        " attack, with both predictions.",
    )
    methods: dict[Drawn, str] = Field(
        default_factory=lambda: dict(METHODS), description="How intervals are made, by `drawn`."
    )

    @property
    def tables(self) -> Iterator[StudyTable]:
        """In the order in which they are read."""
        yield from (self.partition, self.performance, self.baselines, self.curves)
        yield from (self.significance, self.transfer, self.costs, self.claims)


def assemble(
    findings: Findings,
    manifest: Manifest,
    *,
    corpus: str,
    protocol: str,
    deviations: Sequence[Deviation] = (),
) -> StudyResult:
    """The result of a study, finished or not: what is missing is a dash with its reason.

    Args:
        manifest: of the corpus, with the splits that the study used.
        corpus: its name, for the caption.
        protocol: the name of the preset, or a sentence.
    """
    performance = PerformanceTable.of(findings)
    return StudyResult(
        caption=_caption(findings, corpus, protocol, deviations),
        partition=PartitionTable.of(manifest),
        performance=performance,
        baselines=BaselinesTable.of(findings, performance),
        curves=CurvesTable.of(findings),
        significance=SignificanceTable.of(findings, performance),
        transfer=TransferTable.of(findings),
        costs=CostsTable.of(findings),
        claims=ClaimsTable.of(findings, performance),
        figure_2=pictured(findings),
    )


def _caption(
    findings: Findings, corpus: str, protocol: str, deviations: Sequence[Deviation]
) -> Caption:
    cells = findings.cells
    attacks = [
        _described(attack.type, attack.parameters)
        for cell in cells
        for audited in (*cell.audits.values(), *cell.transfers)
        for attack in audited.result.attacks
    ]
    return Caption(
        corpus=corpus,
        protocol=protocol,
        iterations=sorted({cell.iterations for cell in cells if cell.iterations is not None}),
        devices=sorted({cell.device for cell in cells if cell.device is not None}),
        seeds=sorted({cell.seed for cell in cells}),
        attacks=list(dict.fromkeys(attacks)),
        deviations=list(deviations),
        finished=sum(cell.missing is None for cell in cells),
        of=len(cells),
    )


def _described(kind: str, parameters: dict[str, Any]) -> str:
    """An attack with what tells it from others: all of its parameters. Of a transfer, what is
    carried out; the sources are in its table."""
    if "attack" in parameters:
        inner = dict(parameters["attack"])
        return f"{kind} of {_described(inner.pop('type'), inner)}"
    told = ", ".join(
        f"{name} {value}"
        for name, value in parameters.items()
        if value is not None and name not in ("epsilon", "snr_db", "minimum")
    )
    return f"{kind} ({told})" if told else kind
