"""Models of a line or two as views, for attacks whose result can be worked out by hand."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from models.freezing import frozen
from models.objectives import Objective
from models.threats import Domain
from models.victims import Gradient, View


class NetView:
    """Any module that maps x (batch, ...) to logits (batch, classes), as a view of either domain.

    Attributes:
        passes: "forward" or "backward" for each that was asked for.
    """

    def __init__(
        self,
        net: nn.Module,
        n_classes: int = 3,
        domain: Domain = "features",
        others: Mapping[str, View] | None = None,
    ) -> None:
        self.net = net
        self.labels = tuple("abcdefgh"[:n_classes])
        self.domain = domain
        self.others = others or {}
        self.passes: list[str] = []

    def scores(self, x: Tensor) -> Tensor:
        self.passes.append("forward")
        with torch.no_grad(), frozen(self.net):
            logits: Tensor = self.net(x)
        return logits

    def gradient(self, x: Tensor, objective: Objective) -> Gradient:
        self.passes.append("backward")
        with torch.enable_grad(), frozen(self.net):
            leaf = x.detach().requires_grad_(True)
            logits = self.net(leaf)
            values = objective.values(logits)
            (gradient,) = torch.autograd.grad(values.sum(), leaf)
        return Gradient(gradient, values.detach(), logits.detach())

    def subset(self, index: Tensor) -> "NetView":
        return self

    def other(self, model: str) -> View:
        return self.others[model]


class Linear(nn.Module):
    """Logits W · x + b of a clip of any rank."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(bias)

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1) @ self.weight.T + self.bias


class LinearView(NetView):
    """A linear model, whose smallest adversarial change is known in closed form.

    Args:
        weight: (classes, values).
        bias: (classes,).
    """

    def __init__(self, weight: Tensor, bias: Tensor, domain: Domain = "features") -> None:
        super().__init__(Linear(weight, bias), len(bias), domain)
        self.weight, self.bias = weight, bias

    @classmethod
    def random(
        cls, n_classes: int, values: int, domain: Domain = "features", seed: int = 0
    ) -> "LinearView":
        """One in float64."""
        noise = torch.Generator().manual_seed(seed)
        weight = torch.randn(n_classes, values, dtype=torch.float64, generator=noise)
        bias = torch.randn(n_classes, dtype=torch.float64, generator=noise)
        return cls(weight, bias, domain)

    def smallest(self, x: Tensor, y: Tensor, order: float = 1.0) -> Tensor:
        """The norm of the smallest change that takes each clip to the edge of its class, (batch,).

        min_{j≠y} (z_y − z_j) / ‖w_y − w_j‖, where the norm is the dual of the change's: ``order`` 1
        for the L∞ norm (a change of ε · sign moves the difference by ε ‖w_y − w_j‖₁), 2 for L2.
        """
        logits = self.scores(x)
        own = logits.gather(1, y[:, None])
        steepness = torch.linalg.vector_norm(
            self.weight[y][:, None] - self.weight[None], ord=order, dim=2
        )
        sizes = (own - logits) / steepness  # 0 / 0 for the class itself
        nearest: Tensor = sizes.scatter(1, y[:, None], float("inf")).amin(dim=1)
        return nearest
