"""FGSM on a grid of six epsilons, scored: Serval against Foolbox.

The gradient does not depend on epsilon, so one backward pass serves the whole grid, and it needs
no gradient of any weight; scores come from the network as it is served, as in an audit. Foolbox
attacks anew for each epsilon. Both answer the adversarial inputs and the matrix of successes, and
both must answer the same.
"""

import statistics
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from models.architectures import build
from models.attacks import fgsm_grid
from models.features import FRAMES, MELS
from models.serving import scorer

EPSILONS = [0.02, 0.04, 0.06, 0.08, 0.1, 0.2]
CLIPS = 32
BATCH = 8
"""Both sides take the clips in batches, by turns: a busy moment of the machine hits both."""
CLASSES = 6
BOX = (-1000.0, 1000.0)
"""Foolbox insists on bounds; no z-scored value comes near these."""
TOLERANCE = 1e-6

Attack = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def measure() -> list[dict[str, Any]]:
    """How many times faster than Foolbox, the median over the batches."""
    torch.manual_seed(0)
    net = build("cnn4", CLASSES).eval()
    ours, theirs = serval(net), foolbox(net)
    ratios, seconds = [], [0.0, 0.0]
    for _ in range(CLIPS // BATCH):
        x = torch.randn(BATCH, FRAMES, MELS)
        y = torch.randint(CLASSES, (BATCH,))
        fast, slow = timed(ours, x, y), timed(theirs, x, y)
        check(fast[1], slow[1])
        ratios.append(slow[0] / fast[0])
        seconds = [seconds[0] + fast[0], seconds[1] + slow[0]]
    return [
        {
            "name": f"FGSM with {len(EPSILONS)} epsilons on {CLIPS} clips, against Foolbox",
            "value": statistics.median(ratios),
            "bar": 3.0,
            "better": "higher",
            "note": f"{seconds[0]:.1f} s against {seconds[1]:.1f} s, "
            f"{min(ratios):.2f} to {max(ratios):.2f}; inputs and successes agree",
        }
    ]


def serval(net: nn.Module) -> Attack:
    """Adversarial inputs (epsilons, batch, frames, mels) and successes (epsilons, batch)."""
    scores = scorer(net, torch.device("cpu"))

    def attack(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        x_adv = fgsm_grid(net, x, y, EPSILONS)
        with torch.inference_mode():
            return x_adv, torch.stack([scores(point).argmax(dim=1) != y for point in x_adv])

    return attack


def foolbox(net: nn.Module) -> Attack:
    """The same from Foolbox, in one call with the list of epsilons."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Please import .* scipy", DeprecationWarning)
        from foolbox.attacks.fast_gradient_method import LinfFastGradientAttack
        from foolbox.models.pytorch import PyTorchModel

    model, method = PyTorchModel(net, bounds=BOX, device="cpu"), LinfFastGradientAttack()

    def attack(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        _, clipped, success = method(model, x, y, epsilons=EPSILONS)
        return torch.stack(clipped), success

    return attack


def timed(attack: Attack, x: Tensor, y: Tensor) -> tuple[float, tuple[Tensor, Tensor]]:
    """Seconds of an attack, and what it answers."""
    began = time.perf_counter()
    answer = attack(x, y)
    return time.perf_counter() - began, answer


def check(ours: tuple[Tensor, Tensor], theirs: tuple[Tensor, Tensor]) -> None:
    """Both sides must answer the same."""
    farthest = float((ours[0] - theirs[0]).abs().max())
    different = int((ours[1] != theirs[1]).sum())
    if farthest > TOLERANCE or different:
        raise RuntimeError(
            f"Serval and Foolbox differ by {farthest} in the inputs and in {different} successes"
        )
