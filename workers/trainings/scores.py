"""What a training's network is worth on the partitions that it does not learn from."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from app.trainings.schemas import TrainingRequest
from models.architectures import SpectrogramNet
from models.attacks import Attack
from models.attacks.fgsm import Fgsm
from models.corpus.dataset import Dataset
from models.evaluation import Evaluation, evaluate
from models.training_plan import Recipe
from workers.runtime.progress import Watchdog
from workers.trainings.training_data import TrainingData

REPORTED_EPSILONS: Final = (0.02, 0.04, 0.1)
"""Of FGSM, under which each finished model is scored, whatever it was trained against: ends and
middle of the paper's grid. The training's own ε joins them, where it counts the same."""
EVALUATION_BATCH: Final = 32


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
        metrics[name] = figures(found, part)
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


def figures(found: Evaluation, data: Dataset) -> dict[str, Any]:
    """A look under FGSM as results and events have it."""
    return {
        "clips": len(data),
        "clean_uar": found.clean,
        "fgsm_uar": by_strength(found),
    }


def by_strength(found: Evaluation) -> dict[str, float]:
    return {f"{epsilon:g}": uar for epsilon, uar in found.attacked.items()}


def _reported(recipe: Recipe) -> tuple[float, ...]:
    same = recipe.epsilon > 0 and recipe.attack.threat == Fgsm().threat
    return tuple(sorted({*REPORTED_EPSILONS, *([recipe.epsilon] if same else [])}))
