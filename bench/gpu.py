"""What a GPU does in a second with each of the three networks: predictions, FGSM, iterations.

There is no bar to hold: GPUs differ. Beside each rate stands how far it is from the bare network on
tensors that lie on the device already, measured by turns with it.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch.nn import functional

from bench import attacks, training
from models.architectures import ARCHITECTURES, build
from models.attacks.fgsm import Fgsm
from models.features import FRAMES, MELS
from models.precision import full_float32
from models.serving import scorer, served
from models.training import TrainingState

CLASSES = 6
BATCHES = (1, 32)
"""Clips that are predicted together: a lone one, and as many as a lane of a GPU takes at most."""
ATTACKED = 16
"""Clips that an audit attacks together."""
DEFENSES = ("single", "vanilla", "similarity")
WARM_UP = 5
TURNS = 30


def measure() -> list[dict[str, Any]]:
    """Rates of all networks; nothing where there is no GPU."""
    if not torch.cuda.is_available():
        reason = "there is no CUDA device"
        return [{"name": "predictions, FGSM and iterations a second on a GPU", "skipped": reason}]
    torch.manual_seed(0)
    device = torch.device("cuda")
    return [
        figure
        for architecture in ARCHITECTURES
        for figure in (
            *(predictions(architecture, device, clips) for clips in BATCHES),
            attack(architecture, device),
            *(iterations(architecture, device, defense) for defense in DEFENSES),
        )
    ]


def predictions(architecture: str, device: torch.device, clips: int) -> dict[str, Any]:
    """From features in the host's memory to probabilities there, as a lane does it."""
    view = served(build(architecture, CLASSES), device)
    x = torch.randn(clips, FRAMES, MELS)
    there = x.to(device)

    @torch.inference_mode()
    def whole() -> None:
        view(x.to(device)).double().softmax(dim=1).cpu()

    @torch.inference_mode()
    def bare() -> None:
        view(there)

    what = f"{architecture}: predictions a second, {clips} at a time"
    return figure(what, clips, *by_turns(whole, bare))


def attack(architecture: str, device: torch.device) -> dict[str, Any]:
    """FGSM on the grid of `bench.attacks`, all points scored, as in an audit."""
    net = build(architecture, CLASSES).to(device).eval().requires_grad_(False)
    scores = scorer(net, device)
    x = torch.randn(ATTACKED, FRAMES, MELS, device=device)
    y = torch.randint(CLASSES, (ATTACKED,), device=device)
    side = attacks.serval(net, Fgsm(epsilon=attacks.EPSILONS), device)

    def whole() -> None:
        side(x, y)[1].tolist()

    @full_float32()
    def bare() -> None:
        leaf = x.clone().requires_grad_(True)
        loss = functional.cross_entropy(net(leaf), y)
        torch.autograd.grad(loss, leaf)
        with torch.no_grad():
            for _ in attacks.EPSILONS:
                scores(x)

    what = f"{architecture}: clips a second under FGSM with {len(attacks.EPSILONS)} epsilons"
    return figure(what, ATTACKED, *by_turns(whole, bare))


def iterations(architecture: str, device: torch.device, defense: str) -> dict[str, Any]:
    """Of a training's own loop; the bare one is a clean step on one batch."""
    data = training.noise().to(device)
    scale = data.standardizer()
    state = training.state(defense, architecture, device)
    plain = TrainingState(state.plan, device)
    x, y = data.batch(torch.arange(training.BATCH), FRAMES)

    def whole() -> None:
        training.iteration(state, data, scale)

    def bare() -> None:
        plain.net.train()
        plain.optimizer.zero_grad()
        functional.cross_entropy(plain.net(x), y).backward()  # type: ignore[no-untyped-call]
        plain.optimizer.step()

    what = f"{architecture}: iterations a second, {defense}, {training.BATCH} clips"
    return figure(what, 1, *by_turns(whole, bare))


def by_turns(whole: Callable[[], None], bare: Callable[[], None]) -> tuple[float, float]:
    """Median seconds of both, until the device has done the work."""
    pairs = [(seconds(whole), seconds(bare)) for _ in range(WARM_UP + TURNS)][WARM_UP:]
    ours, least = (statistics.median(side) for side in zip(*pairs, strict=True))
    return ours, least


def seconds(work: Callable[[], None]) -> float:
    """Until the device has done it."""
    torch.cuda.synchronize()
    began = time.perf_counter()
    work()
    torch.cuda.synchronize()
    return time.perf_counter() - began


def figure(name: str, of: int, ours: float, bare: float) -> dict[str, Any]:
    """How many a second, without a bar."""
    return {
        "name": name,
        "value": of / ours,
        "note": f"{1000 * ours:.2f} ms; the bare network {1000 * bare:.2f} ms",
    }
