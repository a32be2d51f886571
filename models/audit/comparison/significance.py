"""Tests beside the intervals, and what many of them at once call for."""

import math
from collections.abc import Sequence

from pydantic import Field

from models.audit.figure import Figures
from models.audit.intervals import mcnemar


class McNemar(Figures):
    """Clips on which the two audits differ."""

    b: int = Field(description="Clips that count for `a` alone.", examples=[6])
    c: int = Field(description="Clips that count for `b` alone.", examples=[3])
    p: float = Field(
        description="Exact, two-sided (McNemar 1947): that these two numbers differ by chance. It"
        " takes clips for independent.",
        examples=[0.508],
    )

    @classmethod
    def of(cls, only_a: int, only_b: int) -> "McNemar":
        """Of the two numbers."""
        return cls(b=only_a, c=only_b, p=mcnemar(only_a, only_b))


class ZTest(Figures):
    """The one-tailed z-test of the paper (Ren et al., ICASSP 2020, Sec. 4)."""

    z: float = Field(description="Positive if the figure of `b` is the larger.", examples=[1.21])
    p: float = Field(
        description="That the larger figure is larger by chance. It takes clips for independent and"
        " the two audits for audits of different clips, and a UAR for a share: it is here to match"
        " published figures, not to rank by.",
        examples=[0.113],
    )


def z_test(a: float, b: float, n: int) -> ZTest | None:
    """The pooled z-test of two proportions of ``n`` clips each, in the direction of the difference.

    Returns:
        None where it is not defined: without clips, or if both are 0 or both are 1.
    """
    from scipy.special import ndtr

    pooled = (a + b) / 2
    variance = pooled * (1 - pooled) * 2 / n if n else 0.0
    if variance <= 0:
        return None
    z = (b - a) / math.sqrt(variance)
    return ZTest(z=z, p=float(ndtr(-abs(z))))


def t_test(value: float, error: float, units: int) -> float:
    """The two-sided p of a difference that is 0 in truth, by Student's distribution.

    Args:
        error: its standard error, not 0.
        units: speakers or clips that it was drawn from.
    """
    from scipy.special import stdtr

    return min(1.0, 2 * float(stdtr(units - 1, -abs(value) / error)))


def holm(p: Sequence[float]) -> list[float]:
    """Adjusted p of each of several tests (Holm, Scandinavian Journal of Statistics 1979): who
    calls those below .05 different is wrong about any of them in at most 5 % of cases."""
    adjusted, largest = [0.0] * len(p), 0.0
    for rank, place in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        largest = max(largest, min(1.0, (len(p) - rank) * p[place]))
        adjusted[place] = largest
    return adjusted
