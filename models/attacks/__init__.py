"""Attacks: pure functions ``attack(net, x, y, ...) -> x_adv`` on a frozen view of the model.

One attack a file. An attack leaves the network exactly as it was, never modifies ``x`` and
answers detached tensors of its shape, dtype and device. Re-projecting to the budget, re-scoring
and deciding what counts as a success is the audit's work (:mod:`models.audit`), not the attack's.
"""

from collections.abc import Callable, Sequence
from typing import Final, Literal

from torch import Tensor, nn

from models.attacks.fgsm import fgsm, fgsm_grid
from models.attacks.gradient import frozen, input_gradient
from models.attacks.pgd import pgd

AttackLabels = Literal["true", "predicted"]
"""What an attack moves away from: the true labels, or what the network says itself."""
GridAttack = Callable[[nn.Module, Tensor, Tensor, Sequence[float], float | None], Tensor]
"""An attack at several strengths: ``(net, x, y, epsilons, clip)`` → (epsilons, batch, ...)."""

ATTACKS: Final[dict[str, GridAttack]] = {"fgsm": fgsm_grid}
"""What an audit can run, by name."""

__all__ = [
    "ATTACKS",
    "AttackLabels",
    "GridAttack",
    "fgsm",
    "fgsm_grid",
    "frozen",
    "input_gradient",
    "pgd",
]
