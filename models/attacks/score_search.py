"""A search by scores alone, which lets go of a clip once its label has changed.

What square and nes share. No query is spent on a clip that is broken, so the batch shrinks.
"""

import torch
from torch import Tensor

from models.objectives import margin
from models.rng import Rng
from models.threats import expand
from models.victims.victim import View


class ScoreSearch:
    """Looks for the largest margin max_{j≠y} z_j − z_y of each clip; where positive, it is broken.

    It begins with a query of the clips themselves. Then points are offered; the best is the answer.
    A clip stays as it is where the model says the same of every point that it says of the clip: the
    search had nothing to go by.

    Attributes:
        view, x, y, radius, rng: as in :meth:`models.attacks.attack.Attack.run`, of the clips that
            still stand.
        best: the point of the largest margin of those offered, (standing, ...).
    """

    def __init__(self, view: View, x: Tensor, y: Tensor, radius: Tensor, rng: Rng) -> None:
        self.view, self.x, self.y, self.radius, self.rng = view, x.detach(), y, radius, rng
        self.best = self.x
        self._margin = torch.full_like(radius, float("-inf"))
        self._of_clip = self.margins(self.x)
        self._deaf = torch.ones_like(y, dtype=torch.bool)
        self._rows = torch.arange(len(x), device=x.device)
        self._answer = self.x.clone()
        self._let_go(self._of_clip.isnan())

    def __len__(self) -> int:
        """How many clips still stand."""
        return len(self._rows)

    def margins(self, points: Tensor) -> Tensor:
        """A query of each clip that stands: (standing, ...) → (standing,)."""
        return margin(self.view.scores(points), self.y)

    def offer(self, points: Tensor) -> Tensor:
        """A query of points that may be the answer, (standing, ...).

        Returns:
            The rows of clips that stand on, (n,) int64; all attributes have only these from now on.
        """
        logits = self.view.scores(points)
        value = margin(logits, self.y)
        better = value > self._margin
        self.best = torch.where(expand(better, points), points, self.best)
        self._margin = torch.where(better | value.isnan(), value, self._margin)
        self._deaf &= value == self._of_clip
        broken = ~self._deaf & (logits.argmax(dim=1) != self.y)
        return self._let_go(broken | value.isnan())

    def answer(self) -> Tensor:
        """Of every clip, in their first order; NaN where a score was NaN."""
        self._note()
        return self._answer

    def _note(self) -> None:
        found = torch.where(expand(self._deaf, self.x), self.x, self.best)
        lost = self._margin.isnan() | self._of_clip.isnan()
        self._answer[self._rows] = torch.where(expand(lost, found), float("nan"), found)

    def _let_go(self, done: Tensor) -> Tensor:
        standing = torch.nonzero(~done).flatten()
        if len(standing) < len(self):
            self._note()
            self.view, self.rng = self.view.subset(standing), self.rng.subset(standing)
            self.x, self.y, self.radius = self.x[standing], self.y[standing], self.radius[standing]
            self.best, self._margin = self.best[standing], self._margin[standing]
            self._of_clip, self._deaf = self._of_clip[standing], self._deaf[standing]
            self._rows = self._rows[standing]
        return standing
