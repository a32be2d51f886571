"""What is known of a cell of a study: how it was trained, and what its audits found.

A cell is one training of the grid, at one seed. Its audits score the model that came of it on the
development and on the test clips; each is read back clip by clip as a comparison reads it
(:class:`models.audit.comparison.Outcomes`), because a study draws speakers, not cells.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

from models.audit.comparison import Outcomes
from models.audit.result import AuditSummary
from models.provenance import TrainedOn

Partition = Literal["dev", "test"]
"""Of the clips that a model is audited on."""
PARTITIONS: Final[tuple[Partition, ...]] = get_args(Partition)


@dataclass(frozen=True)
class Audited:
    """A finished audit of a cell's model on one partition.

    Attributes:
        audit: its id.
        result: what it found: distortions, costs, the parameters of its attacks.
        outcomes: what the model says of each clip, of all its rows.
    """

    audit: str
    result: AuditSummary
    outcomes: Outcomes


@dataclass(frozen=True, kw_only=True)
class CellOutcome:
    """A cell of the grid, finished or not.

    Attributes:
        name: of the cell, as the study lists it.
        training: its label (:attr:`models.studies.cell.Cell.label`): the type, such as
            ``similarity``, with the parameters behind it that are not the usual ones.
        epsilon: of its adversarial clips, in σ of a mel band; None for a training without.
        iterations: optimiser steps that it was trained for, or will be: fewer than asked for where
            the training ended itself; None if it is not known.
        seconds: wall time of the training; None if it is not known.
        device: that it was trained on, in words.
        model: id of the model that came of it, by which audits of a transfer name it.
        train_on: partitions that it learnt from. One that learnt from dev says nothing of dev.
        audits: the finished ones; one a partition.
        transfers: finished audits of the model on test that try attacks of other models.
        missing: why there is no model, as a sentence for people; None if there is one.
        unaudited: the same for a partition whose audit did not finish.
    """

    name: str
    architecture: str
    training: str
    epsilon: float | None
    seed: int
    train_on: TrainedOn = "train"
    iterations: int | None = None
    seconds: float | None = None
    device: str | None = None
    model: str | None = None
    audits: Mapping[Partition, Audited] = field(default_factory=dict)
    transfers: Sequence[Audited] = ()
    missing: str | None = None
    unaudited: Mapping[Partition, str] = field(default_factory=dict)

    def why_missing(self, partition: Partition) -> str:
        """Why there is no audit on a partition, in words; "" if there is one."""
        if partition in self.audits:
            return ""
        return self.missing or self.unaudited.get(partition) or f"not audited on {partition}"
