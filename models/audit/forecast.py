"""What an audit will cost, before it runs: passes exactly, seconds from a short calibration."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Final

import torch

from models.attacks import TargetLabel
from models.audit.minimum import ROUNDS
from models.audit.perturbation import Perturbation
from models.corruptions import Corruption
from models.features import HOP, WINDOW
from models.objectives import Objective
from models.threats import Domain
from models.victims import Cost, SpectrogramVictim

CALIBRATION_SECONDS: Final = 0.4
"""Of each kind of pass, at the least two of them."""
CLIP_SECONDS: Final = 3.0
"""Of a waveform whose passes are timed."""

Clock = Callable[[], float]


@dataclass(frozen=True)
class Speed:
    """Seconds that a pass of one window takes, in a batch: forwards, and there and back."""

    forward: float
    gradient: float


@dataclass(frozen=True)
class Forecast:
    """What an audit will cost.

    Attributes:
        clips: how many.
        cost: passes of all of them; the most, unless ``exact``.
        exact: whether that is what will be spent.
        seconds: on this device.
        pace: seconds of a pass, averaged over the views that the attacks act on.
        device: as torch calls it.
    """

    clips: int
    cost: Cost
    exact: bool
    seconds: float
    pace: Speed
    device: str

    def to_dict(self) -> dict[str, Any]:
        """As clients see it."""
        return {
            "clips": self.clips,
            **self.cost.to_dict(),
            "exact": self.exact,
            "seconds": round(self.seconds, 3),
            "device": self.device,
        }


def passes(attack: Perturbation, n_classes: int) -> Cost:
    """The most that an attack costs a clip at all its strengths, with the scoring of its answers.

    Of an attack whose work depends on what it finds it is a bound: ``exact_cost`` is False, the
    smallest strengths are asked for, or clips that have the target label are left alone. Of every
    other it is what will be spent.
    """
    strengths = len(attack.strengths)
    if isinstance(attack, Corruption):
        return Cost(forwards=strengths)
    cost = attack.cost(n_classes, strengths) + Cost(forwards=strengths)
    if attack.minimum:
        cost += attack.cost(n_classes, ROUNDS) + Cost(forwards=ROUNDS)
    return cost


def _is_exact(attack: Perturbation) -> bool:
    """Whether :func:`passes` are what will be spent, and not only the most."""
    if isinstance(attack, Corruption):
        return True
    return attack.exact_cost and not attack.minimum and not isinstance(attack.goal, TargetLabel)


def total(attacks: Sequence[Perturbation], clips: int, n_classes: int) -> Cost:
    """The most that an audit of so many clips costs, the clean scores included."""
    each = sum((passes(attack, n_classes) for attack in attacks), start=Cost(forwards=1))
    return each * clips


def forecast(
    attacks: Sequence[Perturbation],
    windows: int,
    clips: int,
    victim: SpectrogramVictim,
    batch: int = 8,
    clock: Clock = time.perf_counter,
) -> Forecast:
    """What an audit will cost on the victim's device; passes of each kind are timed for that.

    Args:
        windows: of the model, in all clips together: a pass of a long clip takes as many.
        clips: how many.
        batch: windows in a batch.
        clock: in seconds; replaced in tests.
    """
    n_classes = len(victim.labels)
    domains: set[Domain] = {"features", *(_scored_in(attack) for attack in attacks)}
    speeds = {
        domain: calibrate(victim, domain, batch, CLIP_SECONDS, clock) for domain in sorted(domains)
    }
    costs = [(speeds[_scored_in(attack)], passes(attack, n_classes)) for attack in attacks]
    costs.append((speeds["features"], Cost(forwards=1)))
    forward = sum((cost.forwards - cost.backwards) * speed.forward for speed, cost in costs)
    gradient = sum(cost.backwards * speed.gradient for speed, cost in costs)
    each = total(attacks, 1, n_classes)
    pace = Speed(
        forward / max(1, each.forwards - each.backwards), gradient / max(1, each.backwards)
    )
    return Forecast(
        clips=clips,
        cost=each * clips,
        exact=all(_is_exact(attack) for attack in attacks),
        seconds=(forward + gradient) * windows + _corrupting(attacks, victim, clock) * clips,
        pace=pace,
        device=str(victim.device),
    )


def _scored_in(attack: Perturbation) -> Domain:
    """The view whose passes it takes: what has become of a recording is scored as log-mels are."""
    return "features" if isinstance(attack, Corruption) else attack.domain


def _corrupting(attacks: Sequence[Perturbation], victim: SpectrogramVictim, clock: Clock) -> float:
    """Seconds that corruptions take for a clip beside the passes, the front end included."""
    sound = 0.1 * torch.randn(int(CLIP_SECONDS * victim.sample_rate))

    def heard(corruption: Corruption, strength: float) -> None:
        draws = torch.Generator().manual_seed(0)
        changed = victim.waveform(corruption.corrupt(sound, strength, draws))
        with torch.no_grad():
            victim.front_end(victim.log_mel(changed))

    spent = 0.0
    for attack in attacks:
        if isinstance(attack, Corruption):
            heard(attack, attack.strengths[0])  # libraries are loaded and filters are made once
            for strength in attack.strengths:
                began = clock()
                heard(attack, strength)
                spent += clock() - began
    return spent


def calibrate(
    victim: SpectrogramVictim,
    domain: Domain,
    batch: int,
    clip_seconds: float = CLIP_SECONDS,
    clock: Clock = time.perf_counter,
) -> Speed:
    """Measure a view's passes on noise.

    Args:
        batch: windows in a batch; a waveform is alone, since hardly two clips have one length.
        clip_seconds: of a waveform.
        clock: in seconds.
    """
    if domain == "features":
        x = torch.randn(batch, victim.frames, 64, device=victim.device)
        n = batch
    else:
        samples = max(WINDOW + HOP, int(clip_seconds * victim.sample_rate))
        x = victim.waveform(0.1 * torch.randn(samples))[None]
        n = victim.windows_of(tuple(x.shape[1:]), domain)
    view = victim.view(domain)
    objective = Objective(torch.zeros(len(x), dtype=torch.int64, device=victim.device))
    forward = _seconds(lambda: view.scores(x), victim.device, clock)
    gradient = _seconds(lambda: view.gradient(x, objective), victim.device, clock)
    return Speed(forward / n, gradient / n)


def _seconds(work: Callable[[], object], device: torch.device, clock: Clock) -> float:
    """Of one call, when it is warm: the median of some."""

    def timed() -> float:
        began = clock()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return clock() - began

    timed()
    times: list[float] = []
    while len(times) < 2 or sum(times) < CALIBRATION_SECONDS:
        times.append(timed())
    return median(times)
