"""A training: from a corpus' features to a model in the registry, in one attempt or in many.

The run is a function of its plan and its data (see `models.training`), so an attempt that goes on
from a checkpoint does what the one before would have done: its losses are the same numbers.
"""

from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import structlog
import torch
from safetensors import SafetensorError
from sqlalchemy.orm import Session

from app.audits import hardening
from app.corpora import service as corpora
from app.corpora.tables import Corpus
from app.errors import NotFound
from app.jobs.attempts import Attempt, CancelRequested, Superseded
from app.registry import service as registry
from app.trainings.kept_checkpoint import DIVERGED, kept_checkpoint
from app.trainings.schemas import MAY_CHANGE, TrainingRequest
from models.architectures import SpectrogramNet
from models.checkpoint import ModelConfig
from models.overfitting import Overfitting
from models.provenance import Provenance
from models.ranks import Ranks
from models.training import Diverged, TrainingState, train
from workers.runtime import noises
from workers.runtime.context import WorkerContext
from workers.runtime.outcome import JobFailed, JobResult
from workers.runtime.progress import Stopped, Watchdog
from workers.runtime.retries import retry_while_database_is_away
from workers.trainings.checkpoints import Checkpoints
from workers.trainings.dev_history import DevHistory
from workers.trainings.progress_reporter import Overfitted, ProgressReporter
from workers.trainings.rank_processes import Meeting, helped, processes
from workers.trainings.scores import score
from workers.trainings.training_data import TrainingData, load_training_data

log = structlog.get_logger("workers.trainings")


def perform(context: WorkerContext, attempt: Attempt, watchdog: Watchdog) -> JobResult:
    """Train, evaluate, and hand over the model; goes on where an earlier attempt was put down.

    Raises:
        Stopped: the worker is to stop; the checkpoint is saved.
        AuditError, CheckpointError, CorpusError, JobFailed, FloatingPointError: the request cannot
            be fulfilled.
    """
    request = TrainingRequest.of_stored(attempt.request)
    corpus = _corpus(context, attempt, request)
    device = context.device()
    folder = context.storage.published(context.storage.corpus_dir(corpus.id))
    found = noises.find(context, request.augment, owner=attempt.owner)
    training_data = load_training_data(folder, request, device, found)
    # What the model will say of itself is checked while nothing is lost yet.
    config = _config(request, corpus, training_data, attempt)

    state = TrainingState(request.plan(len(training_data.labels)), device)

    def warn(text: str) -> None:
        retry_while_database_is_away(lambda: attempt.warn(text))

    checkpoints = Checkpoints(context.checkpoint_dir(attempt.job_id), attempt.number, warn)
    if checkpoints.restore(state):
        watchdog.event("resumed", {"iteration": state.iteration})
    elif request.resume_from is not None:
        _go_on_from(context, request.resume_from, state)
        watchdog.event("resumed", {"iteration": state.iteration, "training": request.resume_from})
        checkpoints.save(state)  # the other training may be deleted meanwhile
    history = DevHistory(attempt.events("evaluation"), until=state.iteration)
    reporter = ProgressReporter(watchdog, state, training_data, request, checkpoints, history, warn)
    reporter.seconds = context.settings.checkpoint_seconds
    try:
        size = processes(context.settings.training_processes, request.batch_size, device)
        meeting = Meeting(context.checkpoint_dir(attempt.job_id) / f"helpers-{attempt.number:04d}")
        fail = partial(_fail, attempt)
        with helped(size, state, request, folder, meeting, found, warn=warn, fail=fail) as ranks:
            net = _trained(reporter, ranks)
        metrics = score(net, training_data, request, watchdog, iterations=state.iteration)
    except Stopped:
        checkpoints.save(state)
        raise
    except Diverged as error:
        raise _diverged(error, checkpoints, attempt.job_id) from error
    overfitting = reporter.overfitting
    config = replace(config, metrics=metrics, training=_told(config.training, attempt, overfitting))
    warnings = _warnings(context, attempt, config)
    name = request.name or f"{request.architecture}-{request.defense.type} {corpus.name}"[:100]

    def publish(session: Session) -> dict[str, Any]:
        row = registry.publish(
            session,
            context.storage,
            net,
            config,
            owner=attempt.owner,
            name=name,
            training_id=attempt.job_id,
        )
        hardening.follow_up(session, attempt.job_id, row.id, warnings)
        return {"model": row.id}

    result = {
        "metrics": metrics,
        "history": history.to_result(),
        "overfitting": None if overfitting is None else overfitting.model_dump(mode="json"),
    }
    return JobResult(result, publish)


def _trained(reporter: "ProgressReporter", ranks: Ranks) -> SpectrogramNet:
    """Train to the end, or until catastrophic overfitting is found and the request ends it.

    Raises:
        Diverged, Stopped: see :func:`models.training.train` and `Watchdog.check`.
    """
    state, training_data = reporter.state, reporter.training_data
    try:
        reporter.catch_up()
        train(
            state,
            training_data.train,
            training_data.standardizer,
            reporter.on_step,
            emotions=training_data.labels,
            ranks=ranks,
        )
    except Overfitted:
        reporter.checkpoints.save(state)
        best = state.plan.on_overfitting == "best"
        net = reporter.best_net() if best else state.net.eval()
        reporter.warn(str(reporter.overfitting))
        return net
    reporter.checkpoints.save(state)
    return state.net


def _go_on_from(context: WorkerContext, job_id: str, state: TrainingState) -> None:
    """Take the last good state of a training that diverged.

    Raises:
        JobFailed: it is gone, or does not fit.
    """
    path = kept_checkpoint(context.storage, job_id)
    try:
        if path is None:
            raise FileNotFoundError(f"{job_id} was deleted")
        state.load(path, but_for=MAY_CHANGE)
    except (SafetensorError, ValueError, KeyError, OSError, RuntimeError) as error:
        log.warning("cannot go on from a training", training=job_id, error=str(error))
        raise JobFailed(
            "checkpoint_gone",
            f"The checkpoint of {job_id} cannot be used: {error}. Leave resume_from out.",
        ) from error


def _fail(attempt: Attempt, error: JobFailed) -> None:
    """End the job, unless it was cancelled or given to another attempt."""
    told = {"code": error.code, "message": str(error), **error.details}
    with suppress(CancelRequested, Superseded):
        retry_while_database_is_away(lambda: attempt.fail(told))


def _diverged(error: Diverged, checkpoints: Checkpoints, job_id: str) -> JobFailed:
    """What the owner of a training that diverged is told."""
    kept = checkpoints.latest()
    where = (
        "No checkpoint was saved before"
        if kept is None
        else f"The checkpoint of iteration {kept} is kept: submit the same with resume_from"
        f" {job_id} and a lower learning_rate to go on from there"
    )
    details = {
        "iteration": error.iteration,
        "loss": None if error.loss is None else str(error.loss),
        "checkpoint_iteration": kept,
    }
    return JobFailed(DIVERGED, f"{error}. {where}.", **details)


def _told(
    training: dict[str, Any], attempt: Attempt, overfitting: Overfitting | None
) -> dict[str, Any]:
    """What a model says of its training, with what only the end of it knows."""
    told = dict(training)
    for event in attempt.events("resumed"):
        if "training" in event:  # an attempt of this one names none
            told["resumed_from"] = event
    if overfitting is not None:
        told["overfitting"] = overfitting.model_dump(mode="json")
    return told


def _corpus(context: WorkerContext, attempt: Attempt, request: TrainingRequest) -> Corpus:
    def find() -> Corpus:
        with context.sessions() as session:
            return corpora.get(session, request.corpus, owner=attempt.owner)

    try:
        return retry_while_database_is_away(find)
    except NotFound as error:
        raise JobFailed(
            "corpus_deleted",
            f"The corpus {request.corpus} was deleted before the training began. Upload it again.",
        ) from error


def _warnings(context: WorkerContext, attempt: Attempt, config: ModelConfig) -> list[str]:
    """What should stand beside the audit of the model, if one follows."""

    def read() -> list[str]:
        with context.sessions() as session:
            return hardening.warnings(session, context.storage, attempt.job_id, config)

    return retry_while_database_is_away(read)


def _config(
    request: TrainingRequest, corpus: Corpus, training_data: TrainingData, attempt: Attempt
) -> ModelConfig:
    """All that the model's files say of themselves, but for the metrics.

    Raises:
        CheckpointError: its labels or statistics are such as no model may have.
    """
    provenance = Provenance(
        training=attempt.job_id,
        corpus=corpus.id,
        corpus_name=corpus.name,
        train_on=request.train_on,
        fold=request.fold,
        public_speakers=training_data.public_speakers,
        speakers_sha256=training_data.speakers_sha256,
        recipe=request.recipe,
        torch=torch.__version__,
        device=training_data.standardizer.mean.device.type,
    )
    return ModelConfig(
        architecture=request.architecture,
        labels=training_data.labels,
        mean=tuple(training_data.standardizer.mean.tolist()),
        std=tuple(training_data.standardizer.std.tolist()),
        frames=request.frames,
        front_end=request.front_end,
        defense=request.defense.model_dump(mode="json"),
        training=provenance.to_dict(),
        levels_dbfs=training_data.levels_dbfs,
    )
