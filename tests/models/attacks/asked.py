"""A view that notes what it is asked: an account of queries beside the meter's."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from models.objectives import Objective
from models.threats import Domain
from models.victims import Gradient, View


@dataclass
class Asked:
    """A view of ``clips``, and all that its subsets were asked.

    Attributes:
        queries: the points asked for each clip, by its number, in their order.
    """

    view: View
    clips: list[int]
    queries: dict[int, list[Tensor]] = field(default_factory=dict)

    @classmethod
    def of(cls, view: View, n: int) -> "Asked":
        return cls(view, list(range(n)), {clip: [] for clip in range(n)})

    @property
    def labels(self) -> tuple[str, ...]:
        return self.view.labels

    @property
    def domain(self) -> Domain:
        return self.view.domain

    def scores(self, x: Tensor) -> Tensor:
        for clip, point in zip(self.clips, x, strict=True):
            self.queries[clip].append(point.clone())
        return self.view.scores(x)

    def gradient(self, x: Tensor, objective: Objective) -> Gradient:
        raise AssertionError("an attack by scores asked for a gradient")

    def subset(self, index: Tensor) -> "Asked":
        clips = [self.clips[row] for row in index.tolist()]
        return Asked(self.view.subset(index), clips, self.queries)

    def other(self, model: str) -> View:
        return self.view.other(model)

    def points(self, clip: int) -> Tensor:
        """All that was asked for a clip, (queries, ...)."""
        return torch.stack(self.queries[clip])
