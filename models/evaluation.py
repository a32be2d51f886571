"""What a network is worth: UAR of labelled clips, clean and under an attack.

Trainings and starters report this. An audit says far more (:mod:`models.audit`); where both look at
the first window of each clip, they give the same figures.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from models import metrics
from models.attacks import Attack
from models.audit.runner import finite
from models.corpus.dataset import Dataset
from models.features import Standardizer
from models.rng import Rng
from models.victims import SpectrogramVictim, View


class Evaluation(NamedTuple):
    """Unweighted average recall.

    Attributes:
        clean: without an attack.
        attacked: by strength, in the order in which they were asked for.
    """

    clean: float
    attacked: dict[float, float]


def evaluate(
    net: nn.Module,
    standardizer: Standardizer,
    labels: tuple[str, ...],
    data: Dataset,
    *,
    frames: int,
    attack: Attack | None = None,
    strengths: Sequence[float] = (),
    batch_size: int = 32,
    seed: int = 0,
    on_batch: Callable[[int], None] | None = None,
) -> Evaluation:
    """UAR of a labelled data set: scores are those of the network as it is served.

    Args:
        net: on any device, any mode; left as it was.
        standardizer: its z-score, on that device.
        labels: names of its classes.
        data: labelled clips; a longer one is cut to the window, a shorter one tiled.
        frames: window of the network.
        attack: of domain features.
        strengths: of the attack.
        seed: of its draws, which depend on nothing else but the clip.
        on_batch: told how many clips are scored, after each batch; what it raises ends this.

    Raises:
        ValueError: there is no clip, or a clip has no label.
        AuditError: the network's scores are not finite (code ``non_finite_scores``).
    """
    if not len(data) or bool((data.labels < 0).any()):
        raise ValueError("UAR needs labelled clips, and at least one")
    victim = SpectrogramVictim(net, standardizer, labels, frames, windows="first")
    view = victim.view("features")
    guesses: list[list[Tensor]] = [[] for _ in range(1 + len(strengths))]
    for first in range(0, len(data), batch_size):
        clips = torch.arange(first, min(first + batch_size, len(data)))
        features, y = data.batch(clips.to(data.offsets.device), frames)
        x: Tensor = standardizer(features.to(victim.device))
        rng = Rng(seed, clips.tolist(), "evaluation")
        for point, guess in enumerate(_guesses(view, x, y.to(x.device), attack, strengths, rng)):
            guesses[point].append(guess.cpu())
        if on_batch is not None:
            on_batch(int(clips[-1]) + 1)
    truth = data.labels.cpu()
    clean, *attacked = (metrics.uar(truth, torch.cat(each), len(labels)) for each in guesses)
    return Evaluation(clean, dict(zip(strengths, attacked, strict=True)))


def _guesses(
    view: View,
    x: Tensor,
    y: Tensor,
    attack: Attack | None,
    strengths: Sequence[float],
    rng: Rng,
) -> Iterator[Tensor]:
    """The predictions of a batch, (batch,): clean, then at each strength."""
    clean = finite(view.scores(x)).argmax(dim=1)
    yield clean
    if attack is None or not strengths:
        return
    threat = attack.threat
    radii = [threat.radius(x, strength) for strength in strengths]
    target = clean if attack.labels == "predicted" else y
    for radius, crafted in zip(radii, attack.craft(view, x, target, radii, rng), strict=True):
        x_adv = threat.project(x, crafted.x, radius)
        yield finite(view.scores(x_adv)).argmax(dim=1)
