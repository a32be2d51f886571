"""Square Attack (Andriushchenko et al., ECCV 2020): a random search that asks for scores alone.

Each query tries another change of one window of the clip, and what raises the margin is kept
(Alg. 1). A window covers a share of the clip, which is halved again and again as the budget is used
up. What is tried is in :mod:`models.attacks.windows`.
"""

from typing import ClassVar, Final, Literal

from pydantic import Field
from torch import Tensor

from models.attacks.attack import ATTACKS, Attack
from models.attacks.score_search import ScoreSearch
from models.attacks.windows import PROPOSALS, as_images
from models.rng import Rng
from models.victims.victim import Access, Cost, View

HALVINGS: Final = (10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000)
"""Iterations of 10,000 after which the share is halved; rescaled to the budget."""


@ATTACKS.register
class Square(Attack):
    """Random search over windows of the clip by scores alone, which no missing gradient misleads.

    A clip whose label has changed is left alone.
    """

    needs: ClassVar[Access] = Access.SCORES
    exact_cost: ClassVar[bool] = False
    atlas: ClassVar[tuple[str, ...]] = ("AML.T0043.001", "AML.T0015")

    type: Literal["square"] = "square"
    queries: int = Field(
        5000, ge=1, le=100_000, description="The most for one clip and strength, all included."
    )
    p_init: float = Field(
        0.8, gt=0, le=1, description="Share of the clip that the first windows cover."
    )

    def run_cost(self, n_classes: int) -> Cost:
        """What is spent on a clip that stands to the end."""
        return Cost(forwards=self.queries, queries=self.queries)

    def share(self, iteration: int) -> float:
        """p of an iteration, 0 to ``queries`` − 1."""
        of_all = 10_000 * iteration // self.queries
        halvings = sum(of_all > each for each in HALVINGS)
        return self.p_init * 0.5**halvings

    def run(self, view: View, x: Tensor, y: Tensor, radius: Tensor, rng: Rng) -> Tensor:
        """See :meth:`Attack.run`; the first query is the clip itself, the second the start."""
        search = ScoreSearch(view, x, y, radius, rng)
        proposals = PROPOSALS[self.domain, self.norm]
        for query in range(1, self.queries):
            if not len(search):
                break
            if query == 1:
                change = proposals.start(as_images(search.x), search.radius, search.rng)
            else:
                now = as_images(search.best - search.x)
                change = proposals.next(now, search.radius, self.share(query - 2), search.rng)
            point = search.x + change.reshape(search.x.shape)
            search.offer(self.threat.nearest(search.x, point, search.radius))
        return search.answer()
