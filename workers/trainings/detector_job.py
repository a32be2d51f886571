"""The training of a detector: from a model and a corpus to a detector with its figures.

As with the training of a model, an attempt that goes on from a checkpoint does what the one before
would have done. Figures that an attempt has told are kept beside its checkpoint.
"""

import time
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch
from pydantic import TypeAdapter, ValidationError
from sqlalchemy.orm import Session
from torch import nn

from app.audits.schemas import AuditRequest
from app.audits.victim import batch_size
from app.corpora import service as corpora
from app.errors import NotFound
from app.jobs.attempts import Attempt
from app.registry import detectors as attaching
from app.registry import service as registry
from app.registry.service import Entry
from app.trainings.detector_request import DetectorRequest, detector_dir
from models.architectures import SpectrogramNet
from models.audit import Audit
from models.corpus.features import FeatureSet
from models.detectors import DetectorConfig, DetectorNet, save_detector, served
from models.detectors.evaluation import (
    DetectionRow,
    DetectorMetrics,
    Examination,
    Probe,
    clean_scores,
    false_alarm_rate,
    probes,
    threshold_of,
)
from models.detectors.training import DetectorState, DetectorStep, train_detector
from models.front_ends import FRONT_ENDS
from models.victims import SpectrogramVictim
from workers.audits.clips import AuditClips, from_corpus
from workers.runtime.context import WorkerContext
from workers.runtime.outcome import JobFailed, JobResult
from workers.runtime.progress import Stopped, Watchdog
from workers.runtime.retries import retry_while_database_is_away
from workers.trainings.checkpoints import Checkpoints
from workers.trainings.progress_reporter import MOST_STEP_EVENTS

ROWS: Final = "examined.json"
_Rows: Final = TypeAdapter(list[DetectionRow])


def perform(context: WorkerContext, attempt: Attempt, watchdog: Watchdog) -> JobResult:
    """Train, choose a threshold, examine, and hand over the detector.

    Raises:
        Stopped: the worker is to stop; the checkpoint is saved.
        AuditError, CorpusError, JobFailed, FloatingPointError: the request cannot be fulfilled.
    """
    work = _set_up(context, attempt, watchdog)
    net = served(_train(work), work.device)
    dev, test = work.audit("dev"), work.audit("test")
    threshold = threshold_of(clean_scores(dev, net))
    metrics = DetectorMetrics(
        threshold=threshold,
        false_alarm_rate={
            "dev": false_alarm_rate(dev, net, threshold),
            "test": false_alarm_rate(test, net, threshold),
        },
        rows=_examine(work, net, threshold),
    )
    return _handed_over(work, metrics)


@dataclass(frozen=True)
class Work:
    """What an attempt works with.

    Attributes:
        entry: the model.
        victim: the same, as attacks see it.
        state: of the training.
    """

    context: WorkerContext
    attempt: Attempt
    watchdog: Watchdog
    request: DetectorRequest
    entry: Entry
    victim: SpectrogramVictim
    device: torch.device
    state: DetectorState

    def audit(self, partition: str, limit: int | None = None) -> Audit:
        """The model and the clips of a partition, or some of them."""

        def select() -> AuditClips:
            request = AuditRequest.model_validate(
                {
                    "model": self.entry.id,
                    "corpus": self.request.corpus,
                    "partition": partition,
                    "limit": limit,
                    "seed": self.request.seed,
                    "attacks": [{"type": "noise", "epsilon": [1.0]}],  # it needs one; none is asked
                }
            )
            with self.context.sessions() as session:
                return from_corpus(
                    session, self.context.storage, request, self.entry.config,
                    owner=self.attempt.owner,
                )  # fmt: skip

        return Audit(
            self.victim,
            retry_while_database_is_away(select),
            [],
            seed=self.request.seed,
            batch=batch_size(self.context.settings, self.entry.config.frames),
            on_pass=lambda *_passes: self.watchdog.check(),
        )


def _set_up(context: WorkerContext, attempt: Attempt, watchdog: Watchdog) -> Work:
    request = DetectorRequest.of_stored(attempt.request)
    entry = retry_while_database_is_away(partial(_find, context, attempt, request))
    device = context.device()
    config = entry.config
    victim = SpectrogramVictim(
        registry.load_entry(entry).to(device),
        config.standardizer.to(device),
        config.labels,
        config.frames,
        front_end=config.front_end,
    )
    state = DetectorState(request.recipe, entry.sha256, device)
    return Work(context, attempt, watchdog, request, entry, victim, device, state)


def _find(context: WorkerContext, attempt: Attempt, request: DetectorRequest) -> Entry:
    """The model, once the corpus is there too.

    Raises:
        JobFailed: one of the two is not.
    """
    with context.sessions() as session:
        try:
            corpora.get(session, request.corpus, owner=attempt.owner)
        except NotFound as error:
            raise JobFailed(
                "corpus_deleted",
                f"The corpus {request.corpus} was deleted before the training began. Upload it"
                " again.",
            ) from error
        entry = registry.get(session, context.storage, request.model, owner=attempt.owner)
    context.storage.published(entry.folder)
    return entry


def _train(work: Work) -> DetectorNet:
    """The trained network; goes on where an earlier attempt was put down."""
    attempt, watchdog, state = work.attempt, work.watchdog, work.state
    folder = work.context.checkpoint_dir(attempt.job_id)
    checkpoints = Checkpoints(
        folder,
        attempt.number,
        lambda text: retry_while_database_is_away(lambda: attempt.warn(text)),
    )
    if checkpoints.restore(state):
        watchdog.event("resumed", {"iteration": state.iteration})
    corpus = work.context.storage.published(work.context.storage.corpus_dir(work.request.corpus))
    config = work.entry.config
    train = FeatureSet.load(corpus).dataset(config.labels, "train")[1]
    learnt = train.through(FRONT_ENDS[config.front_end]).to(work.device)
    assert isinstance(work.victim.net, SpectrogramNet)
    try:
        net = train_detector(
            state, work.victim.net, config.frames, learnt, work.victim.standardizer,
            Reporter(work, checkpoints),
        )  # fmt: skip
    except Stopped:
        checkpoints.save(state)
        raise
    checkpoints.save(state)
    return net


class Reporter:
    """What happens after each iteration: news, checkpoints, and the question whether to go on."""

    def __init__(self, work: Work, checkpoints: Checkpoints) -> None:
        self._work = work
        self._checkpoints = checkpoints
        self._saved = time.monotonic()
        self._every = max(1, work.request.iterations // MOST_STEP_EVENTS)

    def __call__(self, step: DetectorStep) -> None:
        """See :func:`models.detectors.training.train_detector`."""
        work, total = self._work, self._work.request.iterations
        if step.iteration % self._every == 0 or step.iteration == total:
            work.watchdog.event("step", asdict(step))
        work.watchdog.progress(step.iteration, total, "iterations")
        if time.monotonic() - self._saved >= work.context.settings.checkpoint_seconds:
            self._checkpoints.save(work.state)
            self._saved = time.monotonic()
        work.watchdog.check()


def _examine(work: Work, net: nn.Module, threshold: float) -> list[DetectionRow]:
    """The figures under every attack; those that an earlier attempt has told are taken over.

    Raises:
        Stopped: the worker is to stop.
    """
    audit = work.audit("test", work.request.evaluate_clips)
    wanted = probes(work.request.recipe, work.entry.config.labels, audible=audit.clips.audible)
    path = work.context.checkpoint_dir(work.attempt.job_id) / ROWS
    rows = _kept(path)
    total = sum(len(probe.strengths) for probe in wanted)
    examination: Examination | None = None
    for probe in wanted:
        known = {row.strength for row in rows if _is_of(row, probe)}
        left = [strength for strength in probe.strengths if strength not in known]
        work.watchdog.progress(len(rows), total, "points")
        if not left:
            continue
        examination = examination or Examination(audit, net, threshold)
        for row in examination.rows(replace(probe, strengths=tuple(left))):
            rows.append(row)
            _keep(path, rows)
            work.watchdog.event("examined", _news(row))
            work.watchdog.progress(len(rows), total, "points")
    total = work.request.iterations
    work.watchdog.progress(total, total, "iterations")
    return rows


def _is_of(row: DetectionRow, probe: Probe) -> bool:
    return (row.kind, row.attack) == (probe.kind, probe.name)


def _news(row: DetectionRow) -> dict[str, Any]:
    return {
        "kind": row.kind,
        "attack": row.attack,
        "strength": row.strength,
        "auc": row.auc.value,
        "true_positive_rate": row.true_positive_rate.value,
    }


def _kept(path: Path) -> list[DetectionRow]:
    try:
        return _Rows.validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return []


def _keep(path: Path, rows: list[DetectionRow]) -> None:
    """Whole, or not at all. On a full disk the examination goes on: what is lost is done again."""
    draft = path.with_suffix(".draft")
    with suppress(OSError):
        draft.write_bytes(_Rows.dump_json(rows))
        draft.replace(path)


def _handed_over(work: Work, metrics: DetectorMetrics) -> JobResult:
    """Publish the files; in the transaction in which the job succeeds, attach them."""
    context, attempt, request = work.context, work.attempt, work.request
    config = DetectorConfig(
        model_sha256=work.entry.sha256,
        threshold=metrics.threshold,
        recipe=request.recipe,
        corpus=request.corpus,
        training=attempt.job_id,
    )
    final = detector_dir(context.storage, attempt.job_id, attempt.number)
    with context.storage.staging() as staged:
        folder = staged / final.name
        folder.mkdir()
        digest = save_detector(folder, work.state.net, config)
        context.storage.publish(folder, final)
    result = {
        "model": request.model,
        "attached": request.attach,
        "detector": digest,
        "metrics": metrics.model_dump(mode="json"),
    }

    def attach(session: Session) -> dict[str, Any]:
        attaching.attach(
            session, context.storage, request.model, final, metrics.false_alarm_rate["test"],
            owner=attempt.owner,
        )  # fmt: skip
        return {}

    return JobResult(result, attach if request.attach else None)
