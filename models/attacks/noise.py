"""Noise of the size of an attack: the control that gives an attack's figures their meaning.

| kind | norm | the change |
|---|---|---|
| sign | linf | −radius or +radius in every value, at random |
| uniform | linf | uniform in [−radius, radius] |
| white | l2 | Gaussian, scaled to the radius: of a waveform, white noise at the SNR exactly |

Where the box of a waveform cuts the noise of samples near full scale, it is that much smaller.
"""

from collections.abc import Iterable, Iterator
from typing import ClassVar, Final, Literal

import torch
from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError
from torch import Tensor

from models.attacks.attack import ATTACKS, Attack, Crafted
from models.objectives import margin
from models.rng import Rng
from models.threats import Norm, expand
from models.victims.victim import Access, Cost, View

Kind = Literal["sign", "uniform", "white"]
KINDS: Final[dict[Kind, Norm]] = {"sign": "linf", "uniform": "linf", "white": "l2"}


@ATTACKS.register
class Noise(Attack):
    """Random noise, the control of every attack of the same budget.

    The worst of some draws counts, and how many of them changed the label stands beside it.
    """

    needs: ClassVar[Access] = Access.SCORES
    control: ClassVar[bool] = True

    type: Literal["noise"] = "noise"
    kind: Kind | None = Field(
        None, description="sign or uniform with norm linf, white with l2; sign or white by default."
    )
    draws: int = Field(1, ge=1, le=1000, description="Independent draws a clip and strength.")

    @field_validator("kind")
    @classmethod
    def _of_the_norm(cls, value: Kind | None, info: ValidationInfo) -> Kind | None:
        norm = info.data.get("norm")
        if value is not None and norm is not None and KINDS[value] != norm:
            fitting = [kind for kind, of in KINDS.items() if of == norm]
            raise PydanticCustomError(
                "wrong_kind",
                "{kind} is noise of norm {other}, and the norm is {norm}: give {fitting}",
                {
                    "kind": value,
                    "other": KINDS[value],
                    "norm": norm,
                    "fitting": " or ".join(fitting),
                },
            )
        return value

    def run_cost(self, n_classes: int) -> Cost:
        """A query a draw: the worst is chosen by its score."""
        return Cost(forwards=self.draws, queries=self.draws)

    def craft(
        self, view: View, x: Tensor, y: Tensor, radii: Iterable[Tensor], rng: Rng
    ) -> Iterator[Crafted]:
        """See :meth:`Attack.craft`; ``broken_draws`` is how many of the draws changed the label."""
        for radius in radii:
            found, broken = self._worst(view, x, y, radius, rng.named(self.type))
            yield Crafted(found, {"broken_draws": broken.tolist()})

    def run(self, view: View, x: Tensor, y: Tensor, radius: Tensor, rng: Rng) -> Tensor:
        """See :meth:`Attack.run`."""
        return self._worst(view, x, y, radius, rng)[0]

    def _worst(
        self, view: View, x: Tensor, y: Tensor, radius: Tensor, rng: Rng
    ) -> tuple[Tensor, Tensor]:
        x = x.detach()
        worst = x.clone()
        worst_margin = torch.full_like(radius, float("-inf"))
        broken = torch.zeros_like(y)
        for _ in range(self.draws):
            drawn = self.threat.box(x, x + self._change(x, radius, rng))
            logits = view.scores(drawn)
            broken += logits.argmax(dim=1) != y
            reached = margin(logits, y)
            worse = reached > worst_margin
            worst = torch.where(expand(worse, x), drawn, worst)
            worst_margin = torch.where(worse, reached, worst_margin)
        return worst, broken

    def _change(self, x: Tensor, radius: Tensor, rng: Rng) -> Tensor:
        shape, each = x.shape[1:], expand(radius, x)
        if self.norm == "l2":
            return each * self.threat.steepest(rng.normal(shape).to(x))
        if self.kind == "uniform":
            return each * rng.uniform(shape, -1.0, 1.0).to(x)
        return each * rng.signs(shape).to(x)
