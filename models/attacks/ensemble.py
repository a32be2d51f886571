"""A cascade of attacks, after AutoAttack (Croce & Hein, ICML 2020, Sec. 5).

Each member attacks the clips that those before it have not broken. The gradient attacks come first,
which break most clips with the fewest passes; square is last, which sees scores alone and so finds
what a useless gradient hides. The paper has FAB where plain pgd stands here.
"""

from collections.abc import Iterable, Iterator
from typing import Any, ClassVar, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor

from models.attacks.apgd import Apgd
from models.attacks.attack import ATTACKS, Attack, Crafted
from models.attacks.pgd import Pgd
from models.attacks.square import Square
from models.budget import within_budget
from models.objectives import DLR_CLASSES, margin
from models.rng import Rng
from models.threats import expand
from models.victims.victim import Cost, View


@ATTACKS.register
class Ensemble(Attack):
    """pgd, apgd with two losses, and square, one after another on the clips that still stand.

    Each member has the draws that it has on its own, and its results are judged as an audit judges
    them: the ensemble breaks every clip that one of its members would break alone.
    """

    exact_cost: ClassVar[bool] = False
    atlas: ClassVar[tuple[str, ...]] = ("AML.T0043.000", "AML.T0043.001", "AML.T0015")

    type: Literal["ensemble"] = "ensemble"
    steps: int = Field(20, ge=1, le=1000, description="Of pgd and apgd, for each restart.")
    restarts: int = Field(1, ge=1, le=100, description="Of pgd and apgd.")
    queries: int = Field(
        5000, ge=0, le=100_000, description="Of square, the most for a clip; 0 leaves it out."
    )

    def members(self, n_classes: int) -> dict[str, Attack]:
        """What is run on a model of so many classes, by name, in its order."""
        common: dict[str, Any] = {"domain": self.domain, "norm": self.norm}
        walk = common | {"steps": self.steps, "restarts": self.restarts}
        every: dict[str, Attack] = {
            "pgd": Pgd(**walk),
            "apgd-ce": Apgd(**walk, loss="ce"),
            "apgd-dlr": Apgd(**walk, loss="dlr"),
        }
        if self.queries:
            every["square"] = Square(**common, queries=self.queries)
        return {name: one for name, one in every.items() if name not in self.left_out(n_classes)}

    def left_out(self, n_classes: int) -> tuple[str, ...]:
        """Members that are not run: the difference of logits ratio needs three classes."""
        return ("apgd-dlr",) if n_classes < DLR_CLASSES else ()

    def run_cost(self, n_classes: int) -> Cost:
        """What all members ask of a clip that none breaks, and a forward pass to judge each."""
        cost = Cost()
        for member in self.members(n_classes).values():
            own = member.cost(n_classes)
            cost += Cost(own.forwards + 1, own.backwards)  # the model is seen: nothing is a query
        return cost

    def run(self, view: View, x: Tensor, y: Tensor, radius: Tensor, rng: Rng) -> Tensor:
        """See :meth:`Attack.run`."""
        return self._cascade(view, x, y, radius, rng).x

    def craft(
        self, view: View, x: Tensor, y: Tensor, radii: Iterable[Tensor], rng: Rng
    ) -> Iterator[Crafted]:
        """See :meth:`Attack.craft`.

        ``member`` is which of them broke the clip, None if none did; ``left_out`` which could not
        be run, where there is one.
        """
        for radius in radii:
            yield self._cascade(view, x, y, radius, rng)

    def _cascade(self, view: View, x: Tensor, y: Tensor, radius: Tensor, rng: Rng) -> Crafted:
        x = x.detach()
        best, most = x.clone(), torch.full_like(radius, float("-inf"))
        lost = torch.zeros_like(y, dtype=torch.bool)
        broken_by: list[str | None] = [None] * len(x)
        rows = torch.arange(len(x), device=x.device)
        for name, member in self.members(len(view.labels)).items():
            if not len(rows):
                break
            found = self._found(
                member, view.subset(rows), x[rows], y[rows], radius[rows], rng.subset(rows)
            )
            better = found.broken | (found.margin > most[rows])
            best[rows] = torch.where(expand(better, x), found.x, best[rows])
            most[rows] = torch.where(better, found.margin, most[rows])
            lost[rows] |= found.lost
            for row in rows[found.broken].tolist():
                broken_by[row] = name
            rows = rows[~found.broken]
        best[rows] = best[rows].masked_fill(expand(lost[rows], x), float("nan"))
        details: dict[str, list[Any]] = {"member": broken_by}
        if self.left_out(len(view.labels)):
            details["left_out"] = [list(self.left_out(len(view.labels)))] * len(x)
        return Crafted(best, details)

    def _found(
        self, member: Attack, view: View, x: Tensor, y: Tensor, radius: Tensor, rng: Rng
    ) -> "_Found":
        """What a member proposes, and what an audit would say of it."""
        (crafted,) = member.craft(view, x, y, [radius], rng)
        logits = view.scores(within_budget(self.threat, x, crafted.x, radius))
        lost = crafted.x.flatten(1).isnan().any(dim=1)
        reached = margin(logits, y).to(radius).masked_fill(lost, float("-inf"))
        return _Found(crafted.x, reached, ~lost & (logits.argmax(dim=1) != y), lost)


class _Found(NamedTuple):
    """Of the clips that stood, (rows, ...) and (rows,): whether they are broken now, and whether
    the member had no number to go by."""

    x: Tensor
    margin: Tensor
    broken: Tensor
    lost: Tensor
