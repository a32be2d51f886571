"""What is known of each cell of a study, read from its jobs, for the tables."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.audits import service as audits
from app.audits.result import AuditResult
from app.comparisons import reading
from app.errors import Conflict, Gone, NotFound
from app.jobs.tables import Job
from app.persistence.storage import Storage
from app.registry.tables import Model
from app.studies.advancing import read_tasks
from app.studies.schemas import StudyRequest
from app.studies.tables import StudyTask, TaskKind, TaskStatus
from models.provenance import Provenance
from models.studies.cell import Cell
from models.studies.findings import Findings
from models.studies.outcome import PARTITIONS, Audited, CellOutcome

UNENDED = "its {what} has not ended"
CANCELLED = "its {what} was cancelled"


def read(session: Session, storage: Storage, study: Job, request: StudyRequest) -> Findings:
    """All that is known of the study now.

    Args:
        request: what it was asked for.
    """
    reader = Reader(session, storage, study.owner, read_tasks(session, study.id))
    return Findings([reader.cell(cell) for cell in request.cells()], request.epsilons)


@dataclass
class Reader:
    """Reads the jobs of a study's tasks."""

    session: Session
    storage: Storage
    owner: str
    tasks: Sequence[StudyTask]
    provenances: dict[str, Provenance] = field(init=False)
    """Of the models that are there, by id."""

    def __post_init__(self) -> None:
        models = [task.model for task in self.tasks if task.model is not None]
        rows = self.session.execute(select(Model.id, Model.config).where(Model.id.in_(models)))
        self.provenances = {
            name: Provenance.model_validate(config.get("training", {})) for name, config in rows
        }

    def cell(self, cell: Cell) -> CellOutcome:
        """What is known of one."""
        tasks = [task for task in self.tasks if task.cell == cell.name]
        training = next(task for task in tasks if task.kind is TaskKind.TRAINING)
        done = training.status is TaskStatus.DONE
        found = {one.partition: self._audit(one) for one in tasks if one.kind is TaskKind.AUDIT}
        known = self.provenances.get(training.model or "")
        transfers = [self._audit(one) for one in tasks if one.kind is TaskKind.TRANSFER]
        return CellOutcome(
            name=cell.name,
            architecture=cell.architecture,
            training=cell.label,
            epsilon=cell.epsilon,
            seed=cell.seed,
            train_on=cell.train_on,
            iterations=_iterations(cell, known) if done else cell.recipe.iterations,
            seconds=training.seconds,
            device=None if known is None else known.device,
            model=training.model,
            audits={p: one for p in PARTITIONS if isinstance(one := found.get(p), Audited)},
            transfers=[one for one in transfers if isinstance(one, Audited)],
            missing=None if done else _why(training, "training"),
            unaudited={p: one for p in PARTITIONS if isinstance(one := found.get(p), str)},
        )

    def _audit(self, task: StudyTask) -> Audited | str:
        """What it found, or why there is nothing."""
        if task.status is not TaskStatus.DONE:
            return _why(task, "audit")
        if task.job_id is None:
            return "its audit was deleted"
        try:
            job, folder = audits.findings(self.session, self.storage, task.job_id, owner=self.owner)
            result = AuditResult.model_validate(job.result)
            rows = reading.Findings(job.id, folder).rows()
            return Audited(job.id, result, reading.outcomes(job.id, result, rows))
        except (Conflict, Gone, NotFound, FileNotFoundError):
            return "the files of its audit were removed"


def _iterations(cell: Cell, known: Provenance | None) -> int | None:
    """That a training did which has ended: fewer than it was asked for where it ended itself.

    Args:
        known: what its model says; None if the model was deleted.
    """
    if cell.recipe.on_overfitting == "warn":
        return cell.recipe.iterations
    if known is None:
        return None
    alarm = known.overfitting
    return cell.recipe.iterations if alarm is None else alarm.iteration


def _why(task: StudyTask, what: str) -> str:
    match task.status:
        case TaskStatus.FAILED:
            return str((task.error or {}).get("message", f"its {what} failed")).removesuffix(".")
        case TaskStatus.CANCELLED:
            return CANCELLED.format(what=what)
        case _:
            return UNENDED.format(what=what)
