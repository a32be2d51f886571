"""What a defence costs, and what the training's own loop adds to the bare operations of torch.

In forward passes F, with a backward pass at 2 F: single is 3 F; vanilla is two of those and the
crafting, which in eval mode and without the weights' gradients takes another 2 F: 8 / 3 = 2.67.
Fused crafting takes the gradient from a pass that is made anyway: 6 / 3 = 2.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from models.corpus.dataset import Dataset
from models.features import FRAMES, MELS, Standardizer
from models.memory import keep_freed_memory
from models.training import Step, TrainingState, train
from models.training_plan import TrainingPlan

CLASSES = 6
BATCH = 16
WARM_UP = 1
TURNS = 7
SHORT = 128
"""Frames of a clip: the ratios are those of 373 frames, in a third of the time."""


class Paused(Exception):
    """One iteration is done."""


def measure() -> list[dict[str, Any]]:
    """Medians of the ratios of neighbouring iterations, all kinds by turns, in processor time:
    other processes take little of that."""
    keep_freed_memory()  # as every work-horse does
    data = noise(SHORT)
    scale = data.standardizer()
    states = {
        "single": state("single", frames=SHORT),
        "eval": state("vanilla", frames=SHORT),
        "fused": state("vanilla", frames=SHORT, crafting="fused"),
    }
    kinds: dict[str, Callable[[], float]] = {
        name: lambda of=of: iteration(of, data, scale)  # type: ignore[misc]
        for name, of in states.items()
    }
    kinds |= {f"bare {name}": bare(name, data, scale) for name in ("single", "eval")}
    taken = by_turns(kinds)
    return [
        ratio("one vanilla iteration against one single iteration", taken, "eval", "single", 2.7),
        ratio("the same with fused crafting", taken, "fused", "single", 2.0),
        *(
            ratio(
                f"iterations a processor second of {told}, against a bare loop of the same",
                taken,
                f"bare {name}",
                name,
                0.95,
                better="higher",
            )
            for name, told in (("single", "single"), ("eval", "vanilla"))
        ),
    ]


def by_turns(kinds: dict[str, Callable[[], float]]) -> dict[str, list[float]]:
    """Processor seconds of each kind, turn by turn, after a warm-up."""

    def taken(work: Callable[[], float]) -> float:
        began = time.process_time()
        work()
        return time.process_time() - began

    turns = [{n: taken(work) for n, work in kinds.items()} for _ in range(WARM_UP + TURNS)]
    return {name: [turn[name] for turn in turns[WARM_UP:]] for name in kinds}


def ratio(
    name: str,
    taken: dict[str, list[float]],
    above: str,
    below: str,
    bar: float,
    better: str = "lower",
) -> dict[str, Any]:
    """The median of the ratios of the turns, and how far they lie apart."""
    ratios = [one / other for one, other in zip(taken[above], taken[below], strict=True)]
    low, middle, high = statistics.quantiles(ratios, n=4)
    first, second = (statistics.median(taken[kind]) for kind in (above, below))
    return {
        "name": name,
        "value": middle,
        "bar": bar,
        "better": better,
        "note": f"quartiles {low:.2f} to {high:.2f}; {first:.2f} s against {second:.2f} s,"
        f" CNN-4, {BATCH} clips of {SHORT} frames",
    }


def noise(frames: int = FRAMES) -> Dataset:
    """As many clips as a batch has. What they say does not change the speed."""
    torch.manual_seed(0)
    offsets = torch.arange(BATCH + 1) * frames
    return Dataset(torch.randn(BATCH * frames, MELS), offsets, torch.arange(BATCH) % CLASSES)


def state(
    defense: str,
    architecture: str = "cnn4",
    device: torch.device | str = "cpu",
    **changes: Any,
) -> TrainingState:
    """A training in which adversarial data enter at once."""
    plan = TrainingPlan.model_validate(
        {
            "architecture": architecture,
            "n_classes": CLASSES,
            "defense": {"type": defense},
            "adversarial_from": 0,
            "batch_size": BATCH,
            **changes,
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


def bare(name: str, data: Dataset, scale: Standardizer) -> Callable[[], float]:
    """What gives the seconds of an iteration that is written out, on a batch that lies ready: the
    network, cross-entropy, Adam and, of "eval", FGSM on the network in eval mode."""
    plain = state("single", frames=SHORT)
    net, adam, epsilon = plain.net, plain.optimizer, plain.plan.epsilon
    features, y = data.batch(torch.arange(BATCH), SHORT)
    x = scale(features)

    def attacked() -> Tensor:
        net.eval().requires_grad_(False)
        leaf = x.clone().requires_grad_(True)
        loss = functional.cross_entropy(net(leaf), y, reduction="sum")
        (gradient,) = torch.autograd.grad(loss, leaf)
        net.train().requires_grad_(True)
        return x + epsilon * gradient.sign()

    def step() -> float:
        began = time.perf_counter()
        net.train()
        x_adv = attacked() if name == "eval" else None
        loss = functional.cross_entropy(net(x), y)
        if x_adv is not None:
            loss = 0.5 * loss + 0.5 * functional.cross_entropy(net(x_adv), y)
        adam.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        adam.step()
        return time.perf_counter() - began

    return step
