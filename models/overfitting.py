"""Catastrophic overfitting: a training withstands the attack that it learnt, and no other.

Adversarial training with a one-step attack may learn within some hundred iterations to hide its
gradient from that one step: accuracy under FGSM rises while accuracy under PGD falls to nothing
(Wong et al., "Fast is better than free", ICLR 2020; Andriushchenko & Flammarion, NeurIPS 2020).
Wong et al. stop a training when PGD accuracy falls by .2 between two epochs. The rule here is
relative too, since UAR under PGD on speech may be .3 at its best:

    at an evaluation after adversarial data have entered, UAR under PGD is at most half of its best
    so far and at least .1 below it, and further than chance explains over so few clips, while UAR
    under FGSM is no lower than at that best.

A training that only gets worse loses under both attacks and raises no alarm.
"""

import math
from collections.abc import Iterable
from statistics import NormalDist
from typing import Final, Literal, NamedTuple, Self

from pydantic import BaseModel, ConfigDict, Field

OnOverfitting = Literal["warn", "stop", "best"]
SHARE: Final = 0.5
"""Of the best UAR under PGD; what is above it may be noise."""
FALL: Final = 0.1
"""Of UAR, at least, however many clips it is over."""
FALSE_ALARMS: Final = 0.05
"""Probability of an alarm in a whole training whose UAR under PGD stays the same, at most."""


class Point(NamedTuple):
    """UAR on `dev` at one evaluation.

    Attributes:
        iteration: iterations done.
        fgsm: under the one-step attack.
        pgd: under the iterated one, of the same norm and strength.
        clips: that `pgd` is over.
    """

    iteration: int
    fgsm: float
    pgd: float
    clips: int


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
    pgd_clips: int | None = Field(
        default=None, description="Clips that UAR under PGD is over.", examples=[58]
    )
    epsilon: float | None = Field(
        default=None, description="Strength of both attacks.", examples=[0.02]
    )
    action: OnOverfitting = Field(description="What was asked for: `on_overfitting`.")
    model_iteration: int = Field(
        description="Iterations that the model has behind it: all of them where the training went"
        " on (warn).",
        examples=[2000],
    )

    @classmethod
    def between(
        cls, best: Point, now: Point, action: OnOverfitting, *, epsilon: float, iterations: int
    ) -> Self:
        """The alarm of ``now``, with the model that the action leads to.

        Args:
            epsilon: strength of both attacks.
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
            pgd_clips=now.clips,
            epsilon=epsilon,
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
            f" {self.pgd_uar:.3f}{self._measured()}, while under FGSM it is {self.fgsm_uar:.3f}"
            f" after {self.best_fgsm_uar:.3f}. {ends[self.action]}."
        )

    def _measured(self) -> str:
        if self.pgd_clips is None or self.epsilon is None:
            return ""
        return f" ({self.pgd_clips} clips, epsilon {self.epsilon:g})"


def best_of(points: Iterable[Point]) -> Point | None:
    """The point with the highest UAR under PGD, the first of equals; None of none."""
    return max(points, key=lambda point: (point.pgd, -point.iteration), default=None)


def first_alarm(points: Iterable[Point], evaluations: int) -> tuple[Point, Point] | None:
    """The best point until the first alarm, and the point that raises it; None if none does.

    Args:
        points: since adversarial data entered, in order.
        evaluations: that the whole training has from there on: the more there are, the further a
            UAR falls by chance between some two of them.
    """
    errors = standard_errors(evaluations)
    best: Point | None = None
    for point in points:
        if best is not None and _is_alarm(best, point, errors):
            return best, point
        best = point if best is None or point.pgd > best.pgd else best
    return None


def standard_errors(evaluations: int) -> float:
    """How many of them UAR has to fall by, so that of all pairs of evaluations none does so by
    chance, with a probability of 1 - `FALSE_ALARMS` (Bonferroni)."""
    pairs = max(1, math.comb(evaluations, 2))
    return NormalDist().inv_cdf(1 - FALSE_ALARMS / pairs)


def _is_alarm(best: Point, point: Point, errors: float) -> bool:
    needed = max(FALL, errors * _standard_error(best, point))
    fallen = point.pgd <= SHARE * best.pgd and best.pgd - point.pgd >= needed
    return fallen and point.fgsm >= best.fgsm


def _standard_error(best: Point, point: Point) -> float:
    """Of the difference of two UARs: the largest between them, that of the one nearest to .5.

    As if each were over clips of its own, and emotions equally frequent. The clips are the same, of
    which the error is less; emotions hardly ever are, of which it is more.
    """
    uar = min(best.pgd, 0.5)  # the other is at most half of the best
    return math.sqrt(uar * (1 - uar) * (1 / best.clips + 1 / point.clips))
