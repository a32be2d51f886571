"""Figure 2: a clean and an adversarial log-mel side by side, with both predictions.

Every audit draws some of its clips so (its artifacts `figure2-1.png` and on). The paper shows a
model that was trained without a defence, so a study's Figure 2 are the pictures of its audits of
those: one for each network.
"""

from pydantic import Field

from models.audit.figure import Figures
from models.studies.findings import SINGLE, Findings
from models.studies.outcome import Partition


class Pictured(Figures):
    """An audit whose pictures show what an attack does to a model."""

    architecture: str
    seed: int
    partition: Partition
    audit: str = Field(examples=["audit_01K9ZQ3W8M4V7T2X6B5N0C1DEF"])


def pictured(findings: Findings) -> list[Pictured]:
    """For each network the audit of the model with the lowest seed that was trained without a
    defence: on test, or else on dev. Networks without one are left out."""
    return [
        one
        for architecture in findings.architectures
        if (one := _of(findings, architecture)) is not None
    ]


def _of(findings: Findings, architecture: str) -> Pictured | None:
    partitions: tuple[Partition, ...] = ("test", "dev")
    for partition in partitions:
        cells = findings.at(architecture, SINGLE, None, partition)
        for cell in sorted(cells, key=lambda one: one.seed):
            if partition in cell.audits:
                audit = cell.audits[partition].audit
                return Pictured(
                    architecture=architecture, seed=cell.seed, partition=partition, audit=audit
                )
    return None
