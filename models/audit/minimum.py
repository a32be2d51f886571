"""The smallest strength at which an attack breaks each clip, found by bisection.

It takes for granted that what breaks a clip at some strength does so at every greater one. Where an
attack is not so regular, what is found is *a* strength at which the clip breaks while a little less
does not, and never more than the weakest strength of the grid that broke it.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import torch
from torch import Tensor

from models.attacks import Attack
from models.audit.evidence import (
    AttackedPrediction,
    ClipPrediction,
    CostSpent,
    SmallestStrength,
)
from models.audit.inputs import Batch, batches
from models.audit.runner import Audit, checked
from models.budget import within_budget
from models.rng import Rng
from models.victims import Cost

ROUNDS: Final = 20
"""At most: a millionth of the strongest strength."""
TOLERANCE: Final = 1e-4
"""Relative, of an epsilon."""
TOLERANCE_DB: Final = 0.01
"""Of an SNR."""
UNBROKEN_DB: Final = 140.0
"""At which nothing is broken yet: float32 holds no smaller change of a sample."""


def smallest_strengths(
    audit: Audit,
    number: int,
    clean: Mapping[int, ClipPrediction],
    attacked: Mapping[int, Sequence[AttackedPrediction]],
) -> dict[int, SmallestStrength]:
    """For each clip the smallest strength at which attack ``number`` succeeds.

    Args:
        clean: what the model says of the clips.
        attacked: their outcomes under this attack, at all its strengths.

    Returns:
        By the clip's index; without a strength where the strongest did not succeed, or the model
        was wrong before.
    """
    attack = audit.attacks[number]
    assert isinstance(attack, Attack)  # nobody asks this of a corruption
    found = {
        index: SmallestStrength(attack=number, strength=None, cost=CostSpent.of(Cost()))
        for index in clean
    }
    sought = [index for index in clean if any(one.success for one in attacked[index])]
    for batch in batches(audit.victim, audit.clips, attack.domain, sought, audit.batch):
        low, high = _brackets(attack, batch, attacked)
        strengths, costs = _bisect(audit, attack, batch, clean, low, high)
        for index, strength, cost in zip(batch.indices, strengths, costs, strict=True):
            found[index] = SmallestStrength(
                attack=number, strength=strength, cost=CostSpent.of(cost)
            )
    return found


def _brackets(
    attack: Attack, batch: Batch, attacked: Mapping[int, Sequence[AttackedPrediction]]
) -> tuple[Tensor, Tensor]:
    """For each clip a strength at which it stands and one at which it breaks, (batch,)."""
    order = attack.threat.order
    lows, highs = [], []
    for index in batch.indices:
        high = min((one.strength for one in attacked[index] if one.success), key=order)
        standing = [
            one.strength
            for one in attacked[index]
            if not one.success and order(one.strength) < order(high)
        ]
        nothing = UNBROKEN_DB if attack.threat.smaller_is_harder else 0.0
        lows.append(max(standing, key=order, default=nothing))
        highs.append(high)
    return torch.tensor(lows, dtype=torch.float64), torch.tensor(highs, dtype=torch.float64)


def _bisect(
    audit: Audit,
    attack: Attack,
    batch: Batch,
    clean: Mapping[int, ClipPrediction],
    low: Tensor,
    high: Tensor,
) -> tuple[list[float], list[Cost]]:
    """Strengths at which the clips break, and what it took to find them."""
    x = batch.x
    view, meter, y = audit.prepare(attack, batch, clean, ROUNDS)
    middle = (low + high) / 2

    def radii() -> Iterator[Tensor]:
        nonlocal middle
        for _ in range(ROUNDS):
            if bool(_narrow(attack, low, high).all()):
                return
            middle = (low + high) / 2
            yield attack.threat.radius(x, middle.to(x))

    crafted = attack.craft(view, x.clone(), y.clone(), radii(), Rng(audit.seed, batch.indices))
    rounds = 0
    for proposal in crafted:
        rounds += 1
        radius = attack.threat.radius(x, middle.to(x))
        x_adv = within_budget(attack.threat, x, checked(attack, x, proposal.x), radius)
        broken = audit.broken(attack, x_adv, y).cpu()
        # A clip that is found rests while others are sought: it does not depend on its batch.
        sought = ~_narrow(attack, low, high)
        high = torch.where(sought & broken, middle, high)
        low = torch.where(sought & ~broken, middle, low)
    return high.tolist(), [cost + Cost(forwards=rounds) for cost in meter.costs()]


def _narrow(attack: Attack, low: Tensor, high: Tensor) -> Tensor:
    """Whether a bracket is narrow enough, (batch,) bool."""
    width = (high - low).abs()
    return width <= (TOLERANCE_DB if attack.threat.smaller_is_harder else TOLERANCE * high.abs())
