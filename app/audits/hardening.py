"""Audit → training → audit: an audit that finds its model too weak has a hardened one made.

Each of the two later jobs is inserted in the very transaction in which the one before succeeds, so
there is no moment at which a killed process could lose it, or make it twice. Whoever committed puts
it on the queue; if that process dies too, the reconciler does.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from pydantic import ValidationError
from sqlalchemy.orm import Session

from app.audits import fit
from app.audits.harden_request import Harden
from app.audits.result import AuditResult, Hardening
from app.audits.schemas import AuditRequest
from app.corpora.tables import Corpus
from app.errors import ServalError
from app.http.problems import invalid
from app.jobs import service as jobs
from app.jobs.service import Submission
from app.jobs.states import JobKind
from app.jobs.tables import Job
from app.jobs.transitions import move
from app.persistence.ids import new_id
from app.persistence.storage import Storage
from app.settings import Settings
from app.trainings import service as trainings
from app.trainings.schemas import TrainingRequest
from models.audit.result import Threat
from models.checkpoint import ModelConfig
from models.provenance import Provenance
from models.threats import ThreatModel
from models.training_plan import DEFAULT_ATTACK, Recipe

DECIDING: Final = ("success_rate", "uar")
"""Figures of the worst case that make a model too weak."""
FEATURES: Final = ThreatModel()
EPSILON: Final = 0.02
"""Of a training that is to harden against attacks on waveforms, which has no ε of its own."""


def training(request: AuditRequest, harden: Harden, config: ModelConfig) -> TrainingRequest:
    """The training that a too weak model calls for: its architecture and front end, and what its
    own training varied, with the defence. What else would change would be taken for the defence."""
    when = harden.when
    made = Provenance.of(config)
    known = made.recipe or Recipe()
    # Weights by name are of the emotions of the corpus that it learnt from.
    named = isinstance(known.class_weights, dict) and made.corpus != request.corpus
    own = when.strength if when.threat == FEATURES else EPSILON
    return TrainingRequest(
        corpus=request.corpus,
        fold=request.fold,
        name=f"{request.model} hardened with {harden.defense.type}",
        architecture=config.architecture,
        defense=harden.defense,
        attack=harden.attack or DEFAULT_ATTACK,
        epsilon=own if harden.epsilon is None else harden.epsilon,
        iterations=harden.iterations,
        batch_size=harden.batch_size,
        frames=config.frames,
        front_end=config.front_end,
        augment=known.augment,
        augment_share=known.augment_share,
        class_weights=None if named else known.class_weights,
        sampling=known.sampling,
        precision=known.precision,
        seed=request.seed,
    )


def verdict(harden: Harden, result: AuditResult) -> Hardening:
    """Whether the model is too weak.

    The worst case of that threat model at the strongest strength that is no harder counts: all of
    its attacks together, controls left out. Its whole interval has to lie beyond the bound, so that
    luck in a few clips trains no model; and nothing is trained where the evidence is invalid.
    """
    when = harden.when
    cases = [
        case
        for case in result.worst_case
        if case.threat == Threat(**when.threat.to_dict())
        and not when.threat.harder(case.strength, when.strength)
    ]
    figures = {} if not cases else {name: cases[-1].measures[name] for name in DECIDING}
    success, uar = (None if name not in figures else figures[name].interval for name in DECIDING)
    weak = (
        when.success_rate_above is not None
        and success is not None
        and success[0] > when.success_rate_above
    ) or (when.uar_below is not None and uar is not None and uar[1] < when.uar_below)
    invalid = result.evidence == "invalid"
    return Hardening(
        when=when,
        success_rate=figures["success_rate"].value if figures else None,
        figures=figures,
        triggered=weak and not invalid,
        reason="The evidence of the audit is invalid." if weak and invalid else None,
    )


def submission(
    session: Session,
    storage: Storage,
    settings: Settings,
    wanted: TrainingRequest,
    *,
    owner: str,
    audit_id: str,
) -> Submission:
    """The training as a job that `start` inserts, with the audit's metadata.

    Raises:
        ServalError: it cannot be done any more, e.g. the corpus was deleted.
    """
    submission = trainings.submission(
        session,
        storage,
        settings,
        wanted,
        owner=owner,
        # No client can send a key with a space in it.
        idempotency_key=f"harden {audit_id}",
        parent_id=audit_id,
    )
    return replace(submission, metadata=session.get_one(Job, audit_id).metadata_)


def start(session: Session, wanted: Submission, found: Hardening) -> dict[str, Any]:
    """Insert the training in the transaction in which the audit succeeds.

    Returns:
        What joins the audit's result.
    """
    job = jobs.insert(session, wanted)
    told = found.model_copy(update={"training": job.id})
    return {"hardening": told.model_dump(mode="json")}


def warnings(
    session: Session, storage: Storage, training_id: str, config: ModelConfig
) -> list[str]:
    """What should stand beside the audit that `follow_up` inserts, if it does.

    Apart from it, because the corpus' index is read for this: in a transaction that writes,
    everybody else would wait for that on SQLite.
    """
    parent = _asked_by(session, training_id)
    corpus = None if parent is None else session.get(Corpus, parent.request["corpus"])
    if parent is None or corpus is None:
        return []
    wanted = AuditRequest.of_stored(parent.request | {"harden": None})
    return fit.warnings(storage, config, corpus, wanted)


def follow_up(session: Session, training_id: str, model_id: str, warnings: Sequence[str]) -> None:
    """Insert the audit of the new model in the transaction in which its training succeeds.

    Nothing happens if the training was not asked for by an audit.
    """
    parent = _asked_by(session, training_id)
    if parent is None:
        return
    audit_id = new_id("audit")
    wanted = AuditRequest.of_stored(
        parent.request | {"model": model_id, "harden": None, "detector": False}
    )
    jobs.insert(
        session,
        Submission(
            kind=JobKind.AUDIT,
            owner=parent.owner,
            request=wanted.to_request(),
            model=model_id,
            metadata=parent.metadata_,
            warnings=warnings,
            idempotency_key=f"harden {training_id}",
            parent_id=training_id,
        ),
        job_id=audit_id,
    )
    _tell(session, parent, training_id, audit_id)


def _asked_by(session: Session, training_id: str) -> Job | None:
    """The audit that asked for the training, if one did."""
    row = session.get(Job, training_id)
    parent = None if row is None or row.parent_id is None else session.get(Job, row.parent_id)
    if parent is None or parent.result is None or parent.kind is not JobKind.AUDIT:
        return None
    return parent if AuditResult.model_validate(parent.result).hardening is not None else None


def _tell(session: Session, parent: Job, training_id: str, audit_id: str) -> None:
    """Name the new audit in the result of the first one."""
    result = AuditResult.model_validate(parent.result)
    assert result.hardening is not None  # `_asked_by` has looked
    told = {"training": training_id, "audit": audit_id}
    result.hardening = result.hardening.model_copy(update=told)
    move(
        session,
        parent.id,
        event="hardened",
        data=told,
        result=result.model_dump(mode="json"),
    )


def audit_before(session: Session, audit_id: str) -> Job | None:
    """The audit that asked for the model which this audit audits; None if none did."""
    row = session.get(Job, audit_id)
    parent = None if row is None or row.parent_id is None else session.get(Job, row.parent_id)
    if parent is None or parent.kind is not JobKind.TRAINING:
        return None
    return _asked_by(session, parent.id)


def check(
    session: Session,
    storage: Storage,
    settings: Settings,
    request: AuditRequest,
    harden: Harden,
    config: ModelConfig,
    *,
    owner: str,
) -> None:
    """Refuse what could not be trained, before the audit is queued.

    Raises:
        ServalError: as a submission of that training would.
    """
    try:
        wanted = training(request, harden, config)
        trainings.submission(session, storage, settings, wanted, owner=owner)
    except ValidationError as error:
        faults = [fault | {"loc": ("harden", *fault["loc"])} for fault in error.errors()]
        raise invalid(faults) from error
    except ServalError as error:
        error.detail = f"harden asks for a training that would be refused: {error.detail}"
        for fault in error.errors:
            if fault.field.split(".")[0] in Harden.model_fields:
                fault.field = f"harden.{fault.field}"
        raise
