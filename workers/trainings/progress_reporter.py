"""What happens after each iteration of a training: events, checkpoints, evaluations on `dev`, and
whether to go on."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import torch
from torch import Tensor

from app.trainings.schemas import TrainingRequest
from models.architectures import SpectrogramNet
from models.attacks.fgsm import Fgsm
from models.attacks.pgd import Pgd
from models.audit import AuditError
from models.corpus.dataset import Dataset
from models.corpus.sampling import stratified
from models.overfitting import Overfitting, best_of, first_alarm
from models.training import Diverged, Step, TrainingState
from workers.runtime.progress import Watchdog
from workers.trainings.checkpoints import NO_BEST, Checkpoints
from workers.trainings.dev_history import DevHistory
from workers.trainings.scores import by_strength, figures, look
from workers.trainings.training_data import TrainingData

MOST_STEP_EVENTS: Final = 200
"""Of a training's losses: enough for a smooth curve, and each is a row."""
LOOK_CLIPS: Final = 256
"""Of `dev` at a look in between: UAR to about ± .03, in seconds instead of minutes."""
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
        found: dict[str, Any] = {"pgd_clips": 0, "pgd_uar": {}}
        try:
            found |= figures(scored(self._dev, Fgsm(norm=plan.attack.norm)), self._dev)
            if strengths:
                harder = scored(self._attacked, Pgd(norm=plan.attack.norm, steps=PGD_STEPS))
                found |= {"pgd_clips": len(self._attacked), "pgd_uar": by_strength(harder)}
        except AuditError as error:  # its scores are no numbers
            told = f"after iteration {iteration} the network's scores on dev are no numbers"
            raise Diverged(
                f"{told}: lower learning_rate ({plan.learning_rate})", iteration
            ) from error
        entry = {"iteration": iteration, "partition": "dev", **found}
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
