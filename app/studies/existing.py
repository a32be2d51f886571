"""Trainings that are there when a study is accepted, submitted by hand or by other studies."""

from collections.abc import Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.corpora.tables import Corpus
from app.errors import Invalid
from app.jobs.states import JobKind
from app.jobs.tables import Job
from app.persistence.storage import Storage
from app.studies import data, reuse
from app.studies.planning import Plan
from app.studies.tables import TaskKind
from app.trainings.detector_request import TYPE as DETECTOR
from app.trainings.schemas import TrainingRequest
from models.studies.identity import identity

WARN = "warn"
"""What a training does about overfitting that changes nothing in it."""
COMPARED = ("architecture", "seed", "iterations", "train_on")
"""Fields that tell most trainings apart, before any request is read whole."""


def trainings(session: Session, storage: Storage, plan: Plan, *, owner: str) -> Mapping[str, str]:
    """Those of the owner that do what the plan asks for, by identity."""
    wanted = {task.identity for task in plan.tasks if task.kind is TaskKind.TRAINING}
    alike = {
        tuple(task.work[name] for name in COMPARED)
        for task in plan.tasks
        if task.kind is TaskKind.TRAINING
    }
    digests = _digests(session, storage, plan, owner)
    query = select(Job.id, Job.status, Job.model, Job.request).where(
        Job.kind == JobKind.TRAINING, Job.owner == owner, Job.status.in_(reuse.USABLE)
    )
    found: dict[str, list[reuse.Candidate]] = {}
    for id_, status, model, request in session.execute(query):
        if not follows_its_recipe(request):
            continue
        digest = digests.get(request["corpus"])
        if digest is None or tuple(request[name] for name in COMPARED) not in alike:
            continue
        name = _identity(request, digest)
        if name in wanted and reuse.is_there(session, status, model):
            found.setdefault(name, []).append((status, id_))
    return {name: reuse.best(candidates) for name, candidates in found.items()}


def follows_its_recipe(request: Mapping[str, object]) -> bool:
    """Whether recipe and data alone determine what it has made: not where it went on from another
    training, nor where what it found at its evaluations may have ended it. A detector is no model.
    """
    own = request.get("resume_from") is None and request.get("on_overfitting", WARN) == WARN
    return own and request.get("type") != DETECTOR


def _identity(request: dict[str, object], digest: str) -> str:
    asked = TrainingRequest.of_stored(request)
    return identity(asked.recipe, asked.train_on, asked.fold, digest)


def _digests(session: Session, storage: Storage, plan: Plan, owner: str) -> Mapping[str, str]:
    """The corpora that may be the same data, with their hashes: only those are read that agree in
    all that their rows say."""
    mine = plan.corpus
    rows = session.scalars(
        select(Corpus).where(
            Corpus.owner == owner,
            Corpus.id != mine.id,
            Corpus.clips == mine.clips,
            Corpus.speakers == mine.speakers,
        )
    )
    found = {mine.id: plan.digest}
    for other in rows:
        if (other.classes, other.partitions) != (mine.classes, mine.partitions):
            continue
        try:
            found[other.id] = data.digest(storage, other)
        except Invalid:  # its files are gone: no reason to refuse this study
            continue
    return found
