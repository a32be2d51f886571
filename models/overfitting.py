"""Catastrophic overfitting: a training withstands the attack that it learnt, and no other.

Adversarial training with a one-step attack may learn within some hundred iterations to hide its
gradient from that one step: accuracy under FGSM rises while accuracy under PGD falls to nothing
(Wong et al., "Fast is better than free", ICLR 2020; Andriushchenko & Flammarion, NeurIPS 2020).
Wong et al. stop a training when PGD accuracy falls by .2 between two epochs. The rule here is
relative too, since UAR under PGD on speech may be .3 at its best:

    at an evaluation after adversarial data have entered, UAR under PGD is at most half of its best
    so far and at least .1 below it, while UAR under FGSM is no lower than at that best.

A training that only gets worse loses under both attacks and raises no alarm.
"""

from collections.abc import Iterable
from typing import Final, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field

OnOverfitting = Literal["warn", "stop", "best"]
SHARE: Final = 0.5
"""Of the best UAR under PGD; what is above it may be noise."""
FALL: Final = 0.1
"""Of UAR. One of .3 over 64 clips has a standard error of .06."""


class Point(NamedTuple):
    """UAR on `dev` at one evaluation.

    Attributes:
        iteration: iterations done.
        fgsm: under the one-step attack.
        pgd: under the iterated one, of the same norm and strength.
    """

    iteration: int
    fgsm: float
    pgd: float


class Overfitting(BaseModel):
    """An alarm: catastrophic overfitting, found while a model was trained."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    iteration: int = Field(description="Iterations done when it was found.", examples=[1200])
    fgsm_uar: float = Field(description="On `dev`, then.", examples=[0.71])
    pgd_uar: float = Field(examples=[0.02])
    best_iteration: int = Field(
        description="Iterations done at the best evaluation under PGD until then.", examples=[800]
    )
    best_fgsm_uar: float = Field(examples=[0.48])
    best_pgd_uar: float = Field(examples=[0.41])
    action: OnOverfitting = Field(description="What was asked for: `on_overfitting`.")
    model_iteration: int = Field(
        description="Iterations that the model has behind it: all of them where the training went"
        " on (warn).",
        examples=[2000],
    )

    @classmethod
    def between(cls, best: Point, now: Point, action: OnOverfitting, iterations: int) -> Self:
        """The alarm of ``now``, with the model that the action leads to.

        Args:
            iterations: of the whole training.
        """
        ends = {"warn": iterations, "stop": now.iteration, "best": best.iteration}
        return cls(
            iteration=now.iteration,
            fgsm_uar=now.fgsm,
            pgd_uar=now.pgd,
            best_iteration=best.iteration,
            best_fgsm_uar=best.fgsm,
            best_pgd_uar=best.pgd,
            action=action,
            model_iteration=ends[action],
        )

    def __str__(self) -> str:
        ends = {
            "warn": "The training went on",
            "stop": "The training was stopped, and the model is that of this iteration",
            "best": f"The model is that of iteration {self.model_iteration}",
        }
        return (
            f"Catastrophic overfitting at iteration {self.iteration}: on dev, UAR under PGD fell"
            f" from {self.best_pgd_uar:.3f} at iteration {self.best_iteration} to"
            f" {self.pgd_uar:.3f}, while under FGSM it is {self.fgsm_uar:.3f} after"
            f" {self.best_fgsm_uar:.3f}. {ends[self.action]}."
        )


def best_of(points: Iterable[Point]) -> Point | None:
    """The point with the highest UAR under PGD, the first of equals; None of none."""
    return max(points, key=lambda point: (point.pgd, -point.iteration), default=None)


def first_alarm(points: Iterable[Point]) -> tuple[Point, Point] | None:
    """The best point until the first alarm, and the point that raises it; None if none does.

    Args:
        points: since adversarial data entered, in order.
    """
    best: Point | None = None
    for point in points:
        if best is not None and _is_alarm(best, point):
            return best, point
        best = point if best is None or point.pgd > best.pgd else best
    return None


def _is_alarm(best: Point, point: Point) -> bool:
    fallen = point.pgd <= SHARE * best.pgd and best.pgd - point.pgd >= FALL
    return fallen and point.fgsm >= best.fgsm
