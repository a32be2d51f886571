"""A training: from a corpus' features to a model in the registry, in one attempt or in many.

The run is a function of its plan and its data (see `models.training`), so an attempt that goes on
from a checkpoint does what the one before would have done: its losses are the same numbers.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import structlog
import torch
from safetensors import SafetensorError
from sqlalchemy.orm import Session

from app.audits import hardening
from app.corpora import service as corpora
from app.corpora.tables import Corpus
from app.errors import NotFound
from app.jobs.attempts import Attempt
from app.registry import service as registry
from app.trainings.schemas import TrainingRequest
from models.architectures import SpectrogramNet
from models.attacks.fgsm import Fgsm
from models.checkpoint import ModelConfig
from models.corpus.dataset import Dataset
from models.evaluation import evaluate
from models.provenance import Provenance
from models.training import Step, TrainingState, train
from models.training_plan import Recipe
from workers.runtime import noises
from workers.runtime.context import WorkerContext
from workers.runtime.outcome import JobFailed, JobResult
from workers.runtime.progress import Stopped, Watchdog
from workers.runtime.retries import retry_while_database_is_away
from workers.trainings.training_data import TrainingData, load_training_data

log = structlog.get_logger("workers.trainings")

MOST_STEP_EVENTS: Final = 200
"""Of a training's losses: enough for a smooth curve, and each is a row."""
LOOK_CLIPS: Final = 256
"""Of `dev` at a look in between: UAR to about ± .03, in seconds instead of minutes."""
REPORTED_EPSILONS: Final = (0.02, 0.04, 0.1)
"""Of FGSM, under which each finished model is scored, whatever it was trained against: ends and
middle of the paper's grid. The training's own ε joins them, where it counts the same."""
EVALUATION_BATCH: Final = 32
NO_CHECKPOINT: Final = (
    "A checkpoint could not be written: is the disk full? The training goes on, but what it has"
    " done since the last checkpoint is lost if its worker stops."
)
UNUSED_CHECKPOINT: Final = (
    "The checkpoint {name} is not used, and what was done until it is done again: {reason}."
)


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
    checkpoints = Checkpoints(
        context.checkpoint_dir(attempt.job_id),
        attempt.number,
        lambda text: retry_while_database_is_away(lambda: attempt.warn(text)),
    )
    resumed = checkpoints.restore(state)
    if resumed:
        watchdog.event("resumed", {"iteration": state.iteration})
    reporter = ProgressReporter(watchdog, state, training_data, request, checkpoints)
    reporter.seconds = context.settings.checkpoint_seconds
    try:
        if resumed:
            reporter.look_if_due(state.iteration)  # the attempt before may not have come to it
        net = train(
            state,
            training_data.train,
            training_data.standardizer,
            reporter.on_step,
            emotions=training_data.labels,
        )
        checkpoints.save(state)
        metrics = score(net, training_data, request, watchdog)
    except Stopped:
        checkpoints.save(state)
        raise
    config = replace(config, metrics=metrics)
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

    return JobResult({"metrics": metrics}, publish)


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


def _reported(recipe: Recipe) -> tuple[float, ...]:
    same = recipe.epsilon > 0 and recipe.attack.threat == Fgsm().threat
    return tuple(sorted({*REPORTED_EPSILONS, *([recipe.epsilon] if same else [])}))


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


class Checkpoints:
    """The states that attempts of one training have saved, one file an attempt.

    Each attempt writes its own file: one that was taken for dead and is not cannot spoil another's.
    """

    def __init__(self, folder: Path, attempt: int, warn: Callable[[str], None]) -> None:
        self._folder = folder
        self._warn = warn
        self._own = folder / f"attempt-{attempt:04d}.safetensors"

    def restore(self, state: TrainingState) -> bool:
        """Load the latest state that fits; says whether there was one.

        What does not fit costs its owner work that was done, so it is told.
        """
        for path in sorted(self._folder.glob("attempt-*.safetensors"), reverse=True):
            try:
                state.load(path)
            except (SafetensorError, ValueError, KeyError, OSError, RuntimeError) as error:
                log.warning("a checkpoint is not used", path=str(path), error=str(error))
                self._warn(UNUSED_CHECKPOINT.format(name=path.stem, reason=str(error)[:500]))
            else:
                return True
        return False

    def save(self, state: TrainingState) -> None:
        """Save the state, and remove what earlier attempts saved.

        On a full disk the training goes on without, and its owner is told: a checkpoint saves
        work, and to fail for want of one would lose it.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            state.save(self._own)
        except (OSError, SafetensorError) as error:
            log.warning("no checkpoint", iteration=state.iteration, error=str(error))
            self._warn(NO_CHECKPOINT)
            return
        for path in self._folder.glob("attempt-*"):
            if path.name < self._own.name:
                path.unlink(missing_ok=True)


@dataclass
class ProgressReporter:
    """What happens after each iteration: news, checkpoints, looks at `dev`, and the question
    whether to go on."""

    watchdog: Watchdog
    state: TrainingState
    training_data: TrainingData
    request: TrainingRequest
    checkpoints: Checkpoints
    seconds: float = 30.0
    """Between two checkpoints."""

    def __post_init__(self) -> None:
        self._saved = time.monotonic()
        self._every = max(1, self.request.iterations // MOST_STEP_EVENTS)
        dev = self.training_data.parts.get("dev")
        self._dev = None if dev is None else _sample(dev, self.request.seed)

    def on_step(self, step: Step) -> None:
        """See :func:`models.training.train`."""
        total = self.request.iterations
        if step.iteration % self._every == 0 or step.iteration == total:
            self.watchdog.event("step", _news(step))
        self.watchdog.progress(step.iteration, total, "iterations")
        if time.monotonic() - self._saved >= self.seconds:
            self.checkpoints.save(self.state)
            self._saved = time.monotonic()
        self.watchdog.check()
        self.look_if_due(step.iteration)

    def look_if_due(self, iteration: int) -> None:
        """Evaluate on `dev` if it is time for that.

        Raises:
            Stopped: the worker is to stop.
        """
        looks_every = self.request.looks_every
        if looks_every and iteration % looks_every == 0 and 0 < iteration < self.request.iterations:
            self._look(iteration)

    def _look(self, iteration: int) -> None:
        if self._dev is None:
            return
        plan, net = self.state.plan, self.state.net
        attack = Fgsm(norm=plan.attack.norm)
        epsilons = (plan.epsilon,) if plan.epsilon > 0 else ()
        found = look(
            net, self.training_data, self._dev, attack, epsilons, plan.frames, self.watchdog
        )
        self.watchdog.event("evaluation", {"iteration": iteration, "partition": "dev", **found})


def _news(step: Step) -> dict[str, Any]:
    return {
        "iteration": step.iteration,
        "loss": step.loss,
        "learning_rate": step.learning_rate,
        "adversarial": step.adversarial,
    }


def _sample(data: Dataset, seed: int) -> Dataset:
    """At most `LOOK_CLIPS` clips of it, the same ones for the same seed."""
    if len(data) <= LOOK_CLIPS:
        return data
    generator = torch.Generator().manual_seed(seed)
    return data.subset(torch.randperm(len(data), generator=generator)[:LOOK_CLIPS])


def score(
    net: SpectrogramNet, training_data: TrainingData, request: TrainingRequest, watchdog: Watchdog
) -> dict[str, Any]:
    """What the finished network is worth: `look` for each other partition, every clip of it.

    Progress is told in clips meanwhile: on a CPU it may take as long as a thousand iterations.

    Raises:
        Stopped: the worker is to stop.
    """
    total, done = sum(map(len, training_data.parts.values())), 0
    metrics = {}
    for name, part in training_data.parts.items():
        on_scored = partial(_report_scored, watchdog, done, total)
        on_scored(0)
        metrics[name] = look(
            net,
            training_data,
            part,
            Fgsm(),
            _reported(request.recipe),
            request.frames,
            watchdog,
            on_scored,
        )
        done += len(part)
    watchdog.progress(request.iterations, request.iterations, "iterations")
    return metrics


def _report_scored(watchdog: Watchdog, before: int, total: int, clips: int) -> None:
    watchdog.progress(before + clips, total, "clips")


def look(
    net: SpectrogramNet,
    training_data: TrainingData,
    data: Dataset,
    attack: Fgsm,
    epsilons: Sequence[float],
    frames: int,
    watchdog: Watchdog,
    on_scored: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """UAR clean and under FGSM against the true labels: ``{clips, clean_uar, fgsm_uar}``.

    Args:
        on_scored: told how many of the clips are scored, after each batch.

    Raises:
        Stopped: the worker is to stop.
    """

    def report(scored: int) -> None:
        watchdog.check()
        if on_scored is not None:
            on_scored(scored)

    found = evaluate(
        net,
        training_data.standardizer,
        training_data.labels,
        data,
        frames=frames,
        attack=attack,
        strengths=epsilons,
        batch_size=EVALUATION_BATCH,
        on_batch=report,
    )
    return {
        "clips": len(data),
        "clean_uar": found.clean,
        "fgsm_uar": {f"{epsilon:g}": uar for epsilon, uar in found.attacked.items()},
    }
