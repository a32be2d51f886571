"""A study's grid becomes tasks: trainings, audits of their models, and audits by way of others.

All that would be refused later is refused here, and every request is spelt out, so that whoever
begins a task has nothing left to decide.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from sqlalchemy.orm import Session

from app.audits import acceptance, fit
from app.audits.schemas import MAX_ATTACKS, AuditRequest
from app.corpora import service as corpora
from app.corpora.tables import Corpus
from app.errors import Invalid, ServalError
from app.jobs.services import Services
from app.registry.service import Entry
from app.studies import data
from app.studies.schemas import MODEL, PGD_STEPS, Partition, StudyRequest
from app.studies.tables import TaskKind, model_of
from app.trainings import service as trainings
from app.trainings.schemas import TrainingRequest
from models.attacks.pgd import Pgd
from models.attacks.transfer import Transfer
from models.checkpoint import ModelConfig
from models.corpus.manifest import Manifest
from models.features import MELS
from models.provenance import TrainedOn
from models.studies.cell import Cell

MAX_TRANSFERRED: Final = MAX_ATTACKS
"""Models that are attacked by way of each other; their pairs grow with the square."""


@dataclass(frozen=True)
class Task:
    """What a `StudyTask` will hold; see there."""

    kind: TaskKind
    name: str
    cell: str
    work: dict[str, Any]
    needs: tuple[str, ...] = ()
    partition: Partition | None = None
    warnings: tuple[str, ...] = ()
    identity: str | None = None


@dataclass(frozen=True)
class Plan:
    """What a study consists of.

    Attributes:
        corpus: what it is done on.
        cells: of its grid.
        tasks: in the order in which they are to be begun.
        warnings: what its owner should know.
        digest: of the data.
    """

    corpus: Corpus
    cells: Sequence[Cell]
    tasks: Sequence[Task]
    warnings: Sequence[str]
    digest: str


def plan(session: Session, services: Services, request: StudyRequest, *, owner: str) -> Plan:
    """All that the study will do.

    Raises:
        NotFound: there is no such corpus, or it is another key's.
        Invalid: it does not do for the study, or a training or an audit would be refused.
    """
    return Planner(session, services, request, owner).plan()


@dataclass
class Planner:
    """Makes one plan."""

    session: Session
    services: Services
    request: StudyRequest
    owner: str
    corpus: Corpus = field(init=False)
    manifest: Manifest = field(init=False)

    def plan(self) -> Plan:
        """See the function."""
        storage = self.services.storage
        self.corpus = corpora.get(self.session, self.request.corpus, owner=self.owner)
        with corpora.faults_of(self.corpus, None):
            self.manifest = corpora.read_manifest(
                storage.published(storage.corpus_dir(self.corpus.id))
            )
        check_partitions(self.corpus, self.manifest, self.request)
        digest = data.digest(storage, self.corpus)
        cells = self.request.cells()
        tasks = [*self._trainings_and_audits(cells, digest), *self._transfers(cells)]
        absent = [split for split in ("dev", "test") if split not in self.manifest.splits]
        warnings = [f"The corpus has no partition {split}: no figures for it." for split in absent]
        return Plan(self.corpus, cells, tasks, warnings, digest)

    def _trainings_and_audits(self, cells: Sequence[Cell], digest: str) -> Iterator[Task]:
        told: dict[tuple[object, ...], tuple[str, ...]] = {}
        audits: dict[tuple[TrainedOn, Partition], Task] = {}
        for cell in cells:
            wanted = self._training(cell)
            # What a corpus has to offer depends on no more than this.
            alike = (cell.train_on, cell.training, str(cell.parameters))
            if alike not in told:
                told[alike] = self._checked(wanted)
            yield Task(
                TaskKind.TRAINING,
                cell.name,
                cell.name,
                wanted.to_request(),
                warnings=told[alike],
                identity=cell.identity(digest),
            )
            for partition in self._partitions(cell.train_on):
                key = (cell.train_on, partition)
                if key not in audits:
                    audits[key] = self._audit(cell, partition)
                yield self._of_cell(audits[key], cell)

    def _training(self, cell: Cell) -> TrainingRequest:
        given = {
            **dict(cell.recipe),
            "corpus": self.corpus.id,
            "name": cell.name[:100],
            "train_on": cell.train_on,
        }
        return TrainingRequest.model_validate(given)

    def _checked(self, wanted: TrainingRequest) -> tuple[str, ...]:
        place = self.services
        submission = trainings.submission(
            self.session, place.storage, place.settings, wanted, owner=self.owner
        )
        return tuple(submission.warnings)

    def _partitions(self, train_on: TrainedOn) -> list[Partition]:
        """Whose clips a model is audited on: it has learnt from none of them."""
        possible: tuple[Partition, ...] = ("dev", "test") if train_on == "train" else ("test",)
        return [one for one in possible if one in self.manifest.splits]

    def _audit(self, cell: Cell, partition: Partition) -> Task:
        """The audit of any model that is trained on the same partitions as this cell's."""
        request, place = self.request.audit(partition), self.services
        entry = self._model_to_come(cell)
        with _at_audits():
            acceptance.check_model(
                self.session, place.storage, place.settings, request, entry, owner=self.owner
            )
        warnings = fit.warnings(place.storage, entry.config, self.corpus, request)
        return Task(
            TaskKind.AUDIT,
            "",
            "",
            request.to_request(),
            partition=partition,
            warnings=tuple(warnings),
        )

    def _model_to_come(self, cell: Cell) -> Entry:
        """What is known of a cell's model before it is trained."""
        labels = self.manifest.split(*cell.train_on.split("+")).emotions
        config = ModelConfig(
            architecture=cell.architecture,
            labels=labels,
            mean=(0.0,) * MELS,
            std=(1.0,) * MELS,
            frames=cell.recipe.frames,
            front_end=cell.recipe.front_end,
        )
        return Entry(MODEL, self.owner, MODEL, config, "", {}, None, None, Path())

    def _of_cell(self, audit: Task, cell: Cell) -> Task:
        return Task(
            TaskKind.AUDIT,
            f"{cell.name} audited on {audit.partition}",
            cell.name,
            audit.work | {"model": model_of(cell.name)},
            (cell.name,),
            audit.partition,
            audit.warnings,
        )

    def _transfers(self, cells: Sequence[Cell]) -> Iterator[Task]:
        """Each model of the middle ε attacked by way of all others, one audit a model."""
        chosen = self._transferred(cells)
        if self.request.transfer is False or len(chosen) < 2 or "test" not in self.manifest.splits:
            return
        for target in chosen:
            sources = [cell.name for cell in chosen if cell is not target]
            yield Task(
                TaskKind.TRANSFER,
                f"{target.name} attacked by way of the others",
                target.name,
                self._transfer(target.name, sources),
                (target.name, *sources),
                "test",
            )

    def _transferred(self, cells: Sequence[Cell]) -> list[Cell]:
        """One cell for each architecture and training: of the first seed, of the middle ε, trained
        on as much as possible."""
        request = self.request
        train_on = "train+dev" if "train+dev" in request.train_on else request.train_on[0]
        return [
            cell
            for cell in cells
            if cell.seed == request.seeds[0]
            and cell.train_on == train_on
            and cell.epsilon in (None, request.middle_epsilon)
        ][:MAX_TRANSFERRED]

    def _transfer(self, target: str, sources: Sequence[str]) -> dict[str, Any]:
        inner = Pgd(steps=PGD_STEPS, epsilon=(self.request.middle_epsilon,))
        attacks = [
            Transfer.model_validate({"from": f"{MODEL}-{n}", "attack": inner})
            for n in range(len(sources))
        ]
        own = self.request.audit("test")
        asked = AuditRequest(
            model=MODEL,
            corpus=self.corpus.id,
            partition="test",
            limit=self.request.limit,
            windows=own.windows,
            save_adversarial=False,
            attacks=attacks,
        ).to_request()
        named = [
            one | {"from": model_of(source)}
            for one, source in zip(asked["attacks"], sources, strict=True)
        ]
        return asked | {"model": model_of(target), "attacks": named}


def check_partitions(corpus: Corpus, manifest: Manifest, request: StudyRequest) -> None:
    """Refuse a corpus that lacks a partition, or has one of whose figures no interval can be made.

    Raises:
        Invalid: naming the field.
    """
    learnt = [split for one in request.train_on for split in one.split("+")]
    for split in learnt:
        if split not in manifest.splits:
            raise Invalid.of(
                "train_on",
                list(request.train_on),
                f"the corpus has no partition {split}, only {', '.join(manifest.splits)}",
                "leave train+dev out"
                if split == "dev"
                else "upload the corpus again, with a column split in its index.csv",
                code=f"no_{split}",
            )
    if {"dev", "test"}.isdisjoint(manifest.splits):
        raise Invalid.of(
            "corpus",
            corpus.id,
            "it has neither dev nor test, and there is nothing to audit its models on",
            "upload it again, with a column split in its index.csv",
            code="no_test",
        )
    for split in manifest.splits:
        speakers = manifest.split(split).speakers
        if len(speakers) < 2:
            raise Invalid.of(
                "corpus",
                corpus.id,
                f"its partition {split} has one speaker only ({speakers[0]}), and a study's figures"
                " have intervals over speakers",
                "give a corpus with at least two speakers in each partition",
                code="one_speaker",
            )


@contextmanager
def _at_audits() -> Iterator[None]:
    """A refusal of an audit in words of the study: its attacks are the study's `audits`."""
    try:
        yield
    except ServalError as error:
        for fault in error.errors:
            first, dot, rest = fault.field.partition(".")
            if first == "attacks":
                fault.field = f"audits{dot}{rest}"
        raise
