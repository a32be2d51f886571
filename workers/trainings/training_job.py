"""A training: from a corpus' features to a model in the registry, in one attempt or in many.

The run is a function of its plan and its data (see `models.training`), so an attempt that goes on
from a checkpoint does what the one before would have done: its losses are the same numbers.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import structlog
import torch
from safetensors import SafetensorError
from sqlalchemy.orm import Session
from torch import Tensor

from app.audits import hardening
from app.corpora import service as corpora
from app.corpora.tables import Corpus
from app.errors import NotFound
from app.jobs.attempts import Attempt, CancelRequested, Superseded
from app.registry import service as registry
from app.trainings.kept_checkpoint import DIVERGED, kept_checkpoint
from app.trainings.schemas import MAY_CHANGE, TrainingRequest
from models.architectures import SpectrogramNet
from models.attacks import Attack
from models.attacks.fgsm import Fgsm
from models.attacks.pgd import Pgd
from models.audit import AuditError
from models.checkpoint import ModelConfig
from models.corpus.dataset import Dataset
from models.corpus.sampling import stratified
from models.evaluation import Evaluation, evaluate
from models.overfitting import Overfitting, best_of, first_alarm
from models.provenance import Provenance
from models.ranks import Ranks
from models.training import Diverged, Step, TrainingState, train
from models.training_plan import Recipe
from workers.runtime import noises
from workers.runtime.context import WorkerContext
from workers.runtime.outcome import JobFailed, JobResult
from workers.runtime.progress import Stopped, Watchdog
from workers.runtime.retries import retry_while_database_is_away
from workers.trainings.checkpoints import NO_BEST, Checkpoints
from workers.trainings.dev_history import DevHistory
from workers.trainings.rank_processes import Meeting, helped, processes
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
PGD_STEPS: Final = 10
PGD_SHARE: Final = 0.05
"""Of a training's time, for PGD at its evaluations; less than LEAST_PGD_CLIPS say nothing."""
LEAST_PGD_CLIPS: Final = 16
PGD_PASSES: Final = 22
"""Through the network for a clip, of which a pass back counts one: 10 there and back, one for what
came out, one clean."""
CLEAN_PASSES: Final = 3
"""Of a clip in training, where a pass back is for weights and activations, and counts two."""
DEFENDED_PASSES: Final = 8
"""With its adversarial twin, made by one step. A defence that takes more steps takes longer, so
that PGD is a smaller share of its time."""


class Overfitted(Exception):
    """Catastrophic overfitting was found, and the training is to end there."""


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


@dataclass
class ProgressReporter:
    """What happens after each iteration: news, checkpoints, looks at `dev`, and the question
    whether to go on."""

    watchdog: Watchdog
    state: TrainingState
    training_data: TrainingData
    request: TrainingRequest
    checkpoints: Checkpoints
    history: DevHistory
    warn: Callable[[str], None]
    seconds: float = 30.0
    """Between two checkpoints."""
    overfitting: Overfitting | None = None
    """What was found."""

    def __post_init__(self) -> None:
        self._saved = time.monotonic()
        self._every = max(1, self.request.iterations // MOST_STEP_EVENTS)
        dev = self.training_data.parts.get("dev")
        self._dev = None if dev is None else _sample(dev, self.request.seed)
        self._attacked = None if self._dev is None else self._dev.subset(self._pgd_clips(self._dev))

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
        """Evaluate on `dev` if it is time for that, and see whether to go on.

        Raises:
            Stopped: the worker is to stop.
            Diverged: there is nothing to evaluate any more.
            Overfitted: the training ends here.
        """
        every = self.request.looks_every
        if every and iteration % every == 0 and 0 < iteration < self.request.iterations:
            self._look(iteration)
            self._judge()

    def catch_up(self) -> None:
        """Do what the attempt before may not have come to; raises what `look_if_due` raises."""
        if self.state.iteration not in self.history:
            self.look_if_due(self.state.iteration)
        self._judge()

    def best_net(self) -> SpectrogramNet:
        """The network that was the best under PGD before overfitting was found; the present one
        if that was not kept, which its owner is told."""
        found, plan = self.overfitting, self.state.plan
        best = TrainingState(plan, self.training_data.standardizer.mean.device)
        if found is not None and self.checkpoints.load_best(best, found.best_iteration):
            return best.net.eval()
        self.warn(NO_BEST.format(iteration=self.state.iteration))
        if found is not None:
            changed = {"action": "stop", "model_iteration": self.state.iteration}
            self.overfitting = found.model_copy(update=changed)
        return self.state.net.eval()

    def _look(self, iteration: int) -> None:
        if self._dev is None or self._attacked is None:
            return
        plan, net = self.state.plan, self.state.net
        strengths = (plan.epsilon,) if plan.epsilon > 0 else ()
        scored = partial(
            look,
            net,
            self.training_data,
            epsilons=strengths,
            frames=plan.frames,
            watchdog=self.watchdog,
        )
        figures: dict[str, Any] = {"pgd_clips": 0, "pgd_uar": {}}
        try:
            figures |= _figures(scored(self._dev, Fgsm(norm=plan.attack.norm)), self._dev)
            if strengths:
                harder = scored(self._attacked, Pgd(norm=plan.attack.norm, steps=PGD_STEPS))
                figures |= {"pgd_clips": len(self._attacked), "pgd_uar": _by_strength(harder)}
        except AuditError as error:  # its scores are no numbers
            told = f"after iteration {iteration} the network's scores on dev are no numbers"
            raise Diverged(
                f"{told}: lower learning_rate ({plan.learning_rate})", iteration
            ) from error
        entry = {"iteration": iteration, "partition": "dev", **figures}
        self.watchdog.event("evaluation", entry)
        self.history.add(entry)

    def _judge(self) -> None:
        """Whether evaluations until now show catastrophic overfitting, and what is to follow."""
        if self.overfitting is not None:  # its owner knows, and wants it to go on
            return
        plan = self.state.plan
        points = self.history.points(after=plan.first_adversarial)
        alarm = first_alarm(points, self.request.attacked_looks)
        if alarm is not None:
            self.overfitting = Overfitting.between(
                *alarm, plan.on_overfitting, epsilon=plan.epsilon, iterations=plan.iterations
            )
            if plan.on_overfitting != "warn":
                raise Overfitted
            self.warn(str(self.overfitting))
        elif plan.on_overfitting == "best":
            best = best_of(points)
            if best is not None and best.iteration == self.state.iteration:
                self.checkpoints.save_best(self.state)

    def _pgd_clips(self, dev: Dataset) -> Tensor:
        """Indices of the clips that PGD is run on: always the same, each emotion with its share."""
        passes = CLEAN_PASSES if self.request.defense.inputs == "clean" else DEFENDED_PASSES
        trained = self.request.looks_every * self.request.batch_size * passes
        affordable = int(PGD_SHARE * trained / PGD_PASSES)
        return stratified(dev.labels.cpu(), max(LEAST_PGD_CLIPS, affordable), self.request.seed)


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
    net: SpectrogramNet,
    training_data: TrainingData,
    request: TrainingRequest,
    watchdog: Watchdog,
    *,
    iterations: int,
) -> dict[str, Any]:
    """What the finished network is worth: `look` for each other partition, every clip of it.

    Progress is told in clips meanwhile: on a CPU it may take as long as a thousand iterations.

    Args:
        iterations: that were done, which progress says in the end.

    Raises:
        Stopped: the worker is to stop.
    """
    total, done = sum(map(len, training_data.parts.values())), 0
    metrics = {}
    for name, part in training_data.parts.items():
        on_scored = partial(_report_scored, watchdog, done, total)
        on_scored(0)
        found = look(
            net,
            training_data,
            part,
            Fgsm(),
            _reported(request.recipe),
            request.frames,
            watchdog,
            on_scored,
        )
        metrics[name] = _figures(found, part)
        done += len(part)
    watchdog.progress(iterations, iterations, "iterations")
    return metrics


def _report_scored(watchdog: Watchdog, before: int, total: int, clips: int) -> None:
    watchdog.progress(before + clips, total, "clips")


def look(
    net: SpectrogramNet,
    training_data: TrainingData,
    data: Dataset,
    attack: Attack,
    epsilons: Sequence[float],
    frames: int,
    watchdog: Watchdog,
    on_scored: Callable[[int], None] | None = None,
) -> Evaluation:
    """UAR clean and under an attack against the true labels.

    Args:
        on_scored: told how many of the clips are scored, after each batch.

    Raises:
        Stopped: the worker is to stop.
    """

    def report(scored: int) -> None:
        watchdog.check()
        if on_scored is not None:
            on_scored(scored)

    return evaluate(
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


def _figures(found: Evaluation, data: Dataset) -> dict[str, Any]:
    """A look under FGSM as results and events have it."""
    return {
        "clips": len(data),
        "clean_uar": found.clean,
        "fgsm_uar": _by_strength(found),
    }


def _by_strength(found: Evaluation) -> dict[str, float]:
    return {f"{epsilon:g}": uar for epsilon, uar in found.attacked.items()}
