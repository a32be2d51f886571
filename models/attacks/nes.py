"""Natural evolution strategies (Ilyas et al., ICML 2018, Sec. 2.1-2.2): gradients from scores.

    ĝ = Σ_i ( f(x_t + σ u_i) − f(x_t − σ u_i) ) u_i,   u_i standard normal, samples / 2 of them
    x_{t+1} = Π( x_t + step · radius · s(ĝ) ),          s = sign for L∞, ĝ / ‖ĝ‖₂ for L2

f is the margin max_{j≠y} z_j − z_y. The factor 1 / (samples · σ) of the estimate is left out: of ĝ
only signs or the direction are used.
"""

import math
from typing import ClassVar, Literal

import torch
from pydantic import Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError
from torch import Tensor

from models.attacks.attack import ATTACKS, Attack
from models.attacks.score_search import ScoreSearch
from models.rng import Rng
from models.threats import expand
from models.victims.victim import Access, Cost, View


@ATTACKS.register
class Nes(Attack):
    """Natural evolution strategies: projected steps along a gradient that is estimated from scores
    around the point. A clip whose label has changed is left alone."""

    needs: ClassVar[Access] = Access.SCORES
    exact_cost: ClassVar[bool] = False
    atlas: ClassVar[tuple[str, ...]] = ("AML.T0043.001", "AML.T0015")

    type: Literal["nes"] = "nes"
    samples: int = Field(
        50, ge=2, le=10_000, multiple_of=2, description="Queries of one estimate, in ± pairs."
    )
    queries: int = Field(
        5000, ge=1, le=100_000, description="The most for one clip and strength, all included."
    )
    sigma: float = Field(
        0.02,
        gt=0,
        le=10,
        description="Distance of a sample from the point, of the radius: .001 of .05 in the paper.",
    )
    step: float | None = Field(
        None,
        gt=0,
        le=2,
        description="Of the radius; 2.5 / steps if not given, so many as the budget allows.",
    )

    @field_validator("queries")
    @classmethod
    def _enough_for_one_step(cls, queries: int, info: ValidationInfo) -> int:
        least = info.data.get("samples", 0) + 2
        if queries < least:
            raise PydanticCustomError(
                "no_step",
                "a step with {samples} samples takes {least}: give so many, or fewer samples",
                {"samples": least - 2, "least": least},
            )
        return queries

    @property
    def steps(self) -> int:
        """That the budget allows: the clip itself, then an estimate and the new point each time."""
        return (self.queries - 1) // (self.samples + 1)

    def run_cost(self, n_classes: int) -> Cost:
        """What is spent on a clip that stands to the end."""
        spent = 1 + self.steps * (self.samples + 1)
        return Cost(forwards=spent, queries=spent)

    def run(self, view: View, x: Tensor, y: Tensor, radius: Tensor, rng: Rng) -> Tensor:
        """See :meth:`Attack.run`."""
        search = ScoreSearch(view, x, y, radius, rng)
        share = 2.5 / self.steps if self.step is None else self.step
        point = search.x
        for _ in range(self.steps):
            if not len(search):
                break
            size = expand(search.radius * share, point)
            moved = point + size * self.threat.steepest(self._estimate(search, point))
            point = self.threat.nearest(search.x, moved, search.radius)
            point = point[search.offer(point)]
        return search.answer()

    def _estimate(self, search: ScoreSearch, point: Tensor) -> Tensor:
        """ĝ, up to its length."""
        spread = self.sigma * search.radius
        if self.norm == "l2":  # a standard normal vector of n values has a norm of about √n
            spread = spread / math.sqrt(point[0].numel())
        scale, total = expand(spread, point), torch.zeros_like(point)
        for _ in range(self.samples // 2):
            u = search.rng.normal(point.shape[1:]).to(point)
            rise = search.margins(point + scale * u) - search.margins(point - scale * u)
            total += expand(rise, point) * u
        return total
