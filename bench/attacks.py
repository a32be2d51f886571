"""Attacks on CNN-4, crafted and scored: Serval against Foolbox and ART.

FGSM: the gradient does not depend on epsilon, so one backward pass serves a grid of six, where
Foolbox attacks anew for each. PGD: the same ten steps on each side. Nobody needs a gradient of the
weights; Serval asks for none, and its scores come from the network as it is served, as in an audit.

Each side answers the adversarial inputs and which of them succeed. FGSM must answer the same
inputs, but for a thousandth of their values, and the same successes; PGD as many, since Serval
answers the worst point of its path and the others the last.
"""

import time
import warnings
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from models.architectures import build
from models.attacks import Attack
from models.attacks.fgsm import Fgsm
from models.attacks.pgd import Pgd
from models.features import FRAMES, MELS, Standardizer
from models.rng import Rng
from models.victims import SpectrogramVictim

EPSILONS = (0.02, 0.04, 0.06, 0.08, 0.1, 0.2)
EPSILON = 0.005
"""Of PGD: it breaks a part of the clips."""
STEPS, STEP = 10, 0.25
"""Of PGD; a step is a share of epsilon."""
CLIPS = 32
BATCH = 8
"""All sides take the clips in batches, by turns: a busy moment of the machine hits each."""
LABELS = ("anger", "disgust", "fear", "happiness", "neutral", "sadness")
BOX = (-1000.0, 1000.0)
"""Both libraries insist on bounds; no z-scored value comes near these."""
TOLERANCE = 1e-6
APART = 1e-3
"""Share of an input's values that may differ by more."""

Answer = tuple[Tensor, Tensor]
"""Inputs (epsilons, batch, frames, mels) and successes (epsilons, batch)."""
Side = Callable[[Tensor, Tensor], Answer]


def measure() -> list[dict[str, Any]]:
    """How many times faster Serval is than each library."""
    torch.manual_seed(0)
    net = build("cnn4", len(LABELS)).eval()
    fgsm, pgd = Fgsm(epsilon=EPSILONS), Pgd(epsilon=(EPSILON,), steps=STEPS, step=STEP)
    grid = by_turns(net, [serval(net, fgsm), foolbox_fgsm(net)])
    path = by_turns(net, [serval(net, pgd), foolbox_pgd(net), art_pgd(net)])
    many = f"FGSM with {len(EPSILONS)} epsilons on {CLIPS} clips"
    steps = f"PGD-{STEPS} on {CLIPS} clips"
    return [
        figure(f"{many}, against Foolbox", grid[0], grid[1], same_inputs, bar=5.0),
        figure(f"{steps}, against Foolbox", path[0], path[1], same_counts, bar=1.5),
        figure(f"{steps}, against ART", path[0], path[2], same_counts, bar=1.5),
    ]


def by_turns(net: nn.Module, sides: list[Side]) -> list[list[tuple[float, Answer]]]:
    """For each side and batch the seconds and the answer, on clips as the network labels them."""
    rounds = []
    for _ in range(CLIPS // BATCH):
        x = torch.randn(BATCH, FRAMES, MELS)
        with torch.no_grad():
            y = net(x).argmax(dim=1)
        rounds.append([timed(side, x, y) for side in sides])
    return [list(side) for side in zip(*rounds, strict=True)]


def figure(
    name: str,
    ours: list[tuple[float, Answer]],
    theirs: list[tuple[float, Answer]],
    check: Callable[[list[Answer], list[Answer]], str],
    bar: float,
) -> dict[str, Any]:
    """The ratio of the two sides' quickest batches, which are those that nothing disturbed."""
    fast, slow = (min(seconds for seconds, _ in side) for side in (ours, theirs))
    agreement = check([answer for _, answer in ours], [answer for _, answer in theirs])
    return {
        "name": name,
        "value": slow / fast,
        "bar": bar,
        "better": "higher",
        "note": f"{fast:.2f} s against {slow:.2f} s for {BATCH} clips, the quickest of"
        f" {len(ours)} batches; {agreement}",
    }


def victim(net: nn.Module, device: torch.device | None = None) -> SpectrogramVictim:
    """The network on clips that need no z-scoring."""
    standardizer = Standardizer(torch.zeros(MELS), torch.ones(MELS)).to(device)
    return SpectrogramVictim(net, standardizer, LABELS, FRAMES)


def serval(net: nn.Module, attack: Attack, device: torch.device | None = None) -> Side:
    """As an audit runs an attack: crafted on a view, scored on it anew.

    A victim lays the weights of its network out for quick gradients: a copy's, or the other sides
    would be given them so.
    """
    view = victim(deepcopy(net), device).view(attack.domain)

    def side(x: Tensor, y: Tensor) -> Answer:
        radii = [attack.threat.radius(x, strength) for strength in attack.strengths]
        points = [one.x for one in attack.craft(view, x, y, radii, Rng(0, range(len(x))))]
        broken = [view.scores(point).argmax(dim=1) != y for point in points]
        return torch.stack(points), torch.stack(broken)

    return side


def foolbox_model(net: nn.Module) -> Any:
    """Imports scipy by names that scipy is about to drop, and says so."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Please import .* scipy", DeprecationWarning)
        from foolbox.models.pytorch import PyTorchModel

    return PyTorchModel(net, bounds=BOX, device="cpu")


def foolbox_fgsm(net: nn.Module) -> Side:
    """In one call with the list of epsilons."""
    model = foolbox_model(net)
    from foolbox.attacks.fast_gradient_method import LinfFastGradientAttack

    method = LinfFastGradientAttack(random_start=False)

    def side(x: Tensor, y: Tensor) -> Answer:
        _, clipped, success = method(model, x, y, epsilons=list(EPSILONS))
        return torch.stack(clipped), success

    return side


def foolbox_pgd(net: nn.Module) -> Side:
    """At one epsilon, from the clip itself."""
    model = foolbox_model(net)
    from foolbox.attacks.projected_gradient_descent import LinfProjectedGradientDescentAttack

    method = LinfProjectedGradientDescentAttack(rel_stepsize=STEP, steps=STEPS, random_start=False)

    def side(x: Tensor, y: Tensor) -> Answer:
        _, clipped, success = method(model, x, y, epsilons=[EPSILON])
        return torch.stack(clipped), success

    return side


def art_pgd(net: nn.Module) -> Side:
    """At one epsilon, from the clip itself. ART leaves it to the caller to score its answer."""
    from art.attacks.evasion import ProjectedGradientDescent
    from art.estimators.classification import PyTorchClassifier

    classifier = PyTorchClassifier(
        model=net,
        loss=nn.CrossEntropyLoss(),
        input_shape=(FRAMES, MELS),
        nb_classes=len(LABELS),
        clip_values=BOX,
        device_type="cpu",
    )
    method = ProjectedGradientDescent(
        classifier, eps=EPSILON, eps_step=STEP * EPSILON, max_iter=STEPS, verbose=False
    )

    def side(x: Tensor, y: Tensor) -> Answer:
        points = method.generate(x.numpy(), y.numpy())
        broken = np.asarray(classifier.predict(points)).argmax(axis=1) != y.numpy()
        return torch.from_numpy(points)[None], torch.from_numpy(broken)[None]

    return side


def timed(side: Side, x: Tensor, y: Tensor) -> tuple[float, Answer]:
    """Seconds of an attack, and what it answers."""
    began = time.perf_counter()
    answer = side(x, y)
    return time.perf_counter() - began, answer


def same_inputs(ours: list[Answer], theirs: list[Answer]) -> str:
    """Input by input and success by success, but for gradients so near to 0 that the order in which
    they are added up decides their sign."""
    pairs = list(zip(ours, theirs, strict=True))
    apart = [((own[0] - other[0]).abs() > TOLERANCE).double().mean() for own, other in pairs]
    share = float(torch.stack(apart).mean())
    different = sum(int((own[1] != other[1]).sum()) for own, other in pairs)
    if share > APART or different:
        raise RuntimeError(
            f"the sides differ in {share:.3%} of the inputs' values and in {different} successes"
        )
    return f"all but {share:.1g} of the inputs' values agree, and all successes"


def same_counts(ours: list[Answer], theirs: list[Answer]) -> str:
    """As many successes on each side."""
    own, other = (sum(int(answer[1].sum()) for answer in side) for side in (ours, theirs))
    if own != other:
        raise RuntimeError(f"{own} successes against {other} of {CLIPS}")
    return f"{own} of {CLIPS} clips broken by either"
