"""What a defence costs: one iteration of vanilla training against one of single training.

In forward passes F, with a backward pass at 2 F: single is 3 F; vanilla is two of those and the
crafting, which in eval mode and without the weights' gradients takes another 2 F. 8 / 3 = 2.67.
"""

import statistics
import time
from typing import Any

import torch

from models.corpus.dataset import Dataset
from models.features import FRAMES, MELS, Standardizer
from models.memory import keep_freed_memory
from models.training import Step, TrainingState, train
from models.training_plan import TrainingPlan

CLASSES = 6
BATCH = 16
WARM_UP = 2
TURNS = 8


class Paused(Exception):
    """One iteration is done."""


def measure() -> list[dict[str, Any]]:
    """The median of the ratios of neighbouring iterations, both kinds by turns."""
    keep_freed_memory()  # as every work-horse does
    data = noise()
    scale = data.standardizer()
    single, vanilla = state("single"), state("vanilla")
    for _ in range(WARM_UP):
        iteration(vanilla, data, scale)
        iteration(single, data, scale)
    pairs = [
        (iteration(vanilla, data, scale), iteration(single, data, scale)) for _ in range(TURNS)
    ]
    defended, plain = (statistics.median(seconds) for seconds in zip(*pairs, strict=True))
    return [
        {
            "name": "one vanilla iteration against one single iteration",
            "value": statistics.median(ours / theirs for ours, theirs in pairs),
            "bar": 2.7,
            "better": "lower",
            "note": f"{defended:.2f} s against {plain:.2f} s, CNN-4, {BATCH} clips",
        }
    ]


def noise() -> Dataset:
    """As many clips as a batch has. What they say does not change the speed."""
    torch.manual_seed(0)
    offsets = torch.arange(BATCH + 1) * FRAMES
    return Dataset(torch.randn(BATCH * FRAMES, MELS), offsets, torch.arange(BATCH) % CLASSES)


def state(
    defense: str, architecture: str = "cnn4", device: torch.device | str = "cpu"
) -> TrainingState:
    """A training in which adversarial data enter at once."""
    plan = TrainingPlan.model_validate(
        {
            "architecture": architecture,
            "n_classes": CLASSES,
            "defense": {"type": defense},
            "adversarial_from": 0,
            "batch_size": BATCH,
        }
    )
    return TrainingState(plan, device)


def iteration(of: TrainingState, data: Dataset, scale: Standardizer) -> float:
    """Seconds of the next iteration of a training, as its own loop runs it."""

    def pause(_: Step) -> None:
        raise Paused

    began = time.perf_counter()
    try:
        train(of, data, scale, pause)
    except Paused:
        return time.perf_counter() - began
    raise RuntimeError("the training is over: give its plan more iterations")
