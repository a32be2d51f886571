"""Threat models: what an attacker may change, and how the size of the change is measured.

| domain | norm | strength | the ball around a clip x |
|---|---|---|---|
| features | linf | epsilon, σ | no value moves by more than ε standard deviations of its mel band |
| features | l2 | epsilon, σ | the Euclidean norm over all frames and bands is at most ε |
| waveform | linf | epsilon, full scale | no sample moves by more than ε |
| waveform | l2 | snr_db, dB | ‖δ‖₂ ≤ ‖x‖₂ · 10^(−dB/20): a *smaller* SNR is a stronger attack |

A waveform also stays in its box, [min(−1, x), max(1, x)] for each sample: a plain [−1, 1] would
break the budget where a resampled recording overshoots full scale.
"""

from dataclasses import dataclass
from typing import Final, Literal, Protocol

import torch
from torch import Tensor

from models.device_reads import cheap_to_read
from models.rng import Rng

Domain = Literal["features", "waveform"]
Norm = Literal["linf", "l2"]
StrengthName = Literal["epsilon", "snr_db"]


@dataclass(frozen=True)
class Measure:
    """How the strengths of a threat model are given.

    Attributes:
        field: of a request, in which they stand.
        unit: in which they count.
        largest: that is accepted.
    """

    field: StrengthName
    unit: str
    largest: float


MEASURES: Final[dict[tuple[Domain, Norm], Measure]] = {
    # Ten standard deviations are a hundred times the paper's largest: no speech is left.
    ("features", "linf"): Measure("epsilon", "sigma", 10.0),
    ("features", "l2"): Measure("epsilon", "sigma", 10_000.0),
    ("waveform", "linf"): Measure("epsilon", "full_scale", 1.0),
    # 120 dB is less than the rounding of 16-bit audio (98 dB), and about that of 20-bit audio.
    ("waveform", "l2"): Measure("snr_db", "dB", 120.0),
}


class Ball(Protocol):
    """The geometry of a norm. Each clip is a vector of its own: (batch, ...) → (batch,)."""

    def size(self, change: Tensor) -> Tensor:
        """The norm of each clip's change."""

    def shrink(self, change: Tensor, radius: Tensor) -> Tensor:
        """The nearest change whose norm is at most ``radius``, (batch,)."""

    def steepest(self, gradient: Tensor) -> Tensor:
        """The change of norm 1 with the largest product with ``gradient``; 0 where that is 0."""

    def inside(self, shape: torch.Size, rng: Rng) -> Tensor:
        """A random change of norm at most 1 for each clip, (batch, *shape)."""


class Linf:
    """The largest change of any value."""

    def size(self, change: Tensor) -> Tensor:
        """See :class:`Ball`."""
        return change.abs().flatten(1).amax(dim=1)

    def shrink(self, change: Tensor, radius: Tensor) -> Tensor:
        """See :class:`Ball`."""
        each = expand(radius, change)
        return torch.clamp(change, -each, each)

    def steepest(self, gradient: Tensor) -> Tensor:
        """The sign of each value; torch's own is 0 for NaN, which would hide it."""
        return torch.where(gradient.isnan(), gradient, gradient.sign())

    def inside(self, shape: torch.Size, rng: Rng) -> Tensor:
        """Uniform in every value."""
        return rng.uniform(shape, -1.0, 1.0)


class L2:
    """The Euclidean norm of the whole clip."""

    def size(self, change: Tensor) -> Tensor:
        """See :class:`Ball`."""
        return vector_norm(change)

    def shrink(self, change: Tensor, radius: Tensor) -> Tensor:
        """See :class:`Ball`."""
        outside = expand(vector_norm(change) > radius, change)
        return torch.where(outside, expand(radius, change) * self.steepest(change), change)

    def steepest(self, gradient: Tensor) -> Tensor:
        """g / ‖g‖₂. The squares of a saturated softmax's gradients are smaller than any float, so
        the largest value becomes 1 first."""
        largest = gradient.abs().flatten(1).amax(dim=1)
        scaled = gradient / expand(torch.where(largest == 0, 1.0, largest), gradient)
        size = vector_norm(scaled)
        return scaled / expand(torch.where(size == 0, 1.0, size), scaled)

    def inside(self, shape: torch.Size, rng: Rng) -> Tensor:
        """A uniform direction, and a uniform length."""
        direction = self.steepest(rng.normal(shape))
        return expand(rng.uniform((), 0.0, 1.0), direction) * direction


BALLS: Final[dict[Norm, Ball]] = {"linf": Linf(), "l2": L2()}


AXES: Final[dict[tuple[str, str], str]] = {
    ("features", "linf"): "ε (L∞) in σ of a mel band",
    ("features", "l2"): "ε (L2) in σ of a mel band",
    ("waveform", "linf"): "ε (L∞) of full scale",
    ("waveform", "l2"): "SNR in dB, smaller is stronger",
}
"""What the strengths are, by domain and norm, in the words of an axis."""


@dataclass(frozen=True)
class ThreatModel:
    """A domain and a norm: a family of balls around a clip, one for each strength."""

    domain: Domain = "features"
    norm: Norm = "linf"

    @property
    def strength_name(self) -> StrengthName:
        """The field that strengths stand in."""
        return MEASURES[self.domain, self.norm].field

    @property
    def unit(self) -> str:
        """In which a strength counts: "sigma", "full_scale" or "dB"."""
        return MEASURES[self.domain, self.norm].unit

    @property
    def largest(self) -> float:
        """The largest strength that is accepted."""
        return MEASURES[self.domain, self.norm].largest

    @property
    def smaller_is_harder(self) -> bool:
        """Whether a smaller number allows more, as with an SNR."""
        return self.strength_name == "snr_db"

    def harder(self, a: float, b: float) -> bool:
        """Whether strength ``a`` allows strictly more than ``b``."""
        return a < b if self.smaller_is_harder else a > b

    def order(self, strength: float) -> float:
        """A sort key: the more a strength allows, the larger."""
        return -strength if self.smaller_is_harder else strength

    def radius(self, x: Tensor, strength: float | Tensor) -> Tensor:
        """Size of the ball around each clip, in the units of ``x``: (batch, ...) → (batch,).

        Of digital silence, which has no SNR, it is 0.

        Args:
            x: (batch, ...).
            strength: of all clips, or of each, (batch,).
        """
        if isinstance(strength, Tensor):
            each = strength.to(x).expand(len(x))
        else:
            each = x.new_full((len(x),), strength)  # made where x is: a copy would wait for a GPU
        if self.strength_name == "snr_db":
            return vector_norm(x.detach()) * 10 ** (-each / 20)
        return each.clone()

    def size(self, change: Tensor) -> Tensor:
        """The norm of each clip's change: (batch, ...) → (batch,)."""
        return BALLS[self.norm].size(change)

    def box(self, x: Tensor, x_adv: Tensor) -> Tensor:
        """The nearest point in the box: only a waveform has one."""
        if self.domain == "features":
            return x_adv
        return x_adv.clamp(x.clamp_max(-1.0), x.clamp_min(1.0))

    def project(self, x: Tensor, x_adv: Tensor, radius: Tensor) -> Tensor:
        """The nearest point of the ball (and then of the box), whatever an attack returned.

        What is not a number moves nothing; an infinity moves by the whole radius, which several of
        them share in norm l2. The budget holds up to the rounding of a float of the size of ``x``.

        Args:
            x, x_adv: (batch, ...).
            radius: (batch,).
        """
        change = x_adv - x
        if not cheap_to_read(x.device) or not bool(torch.isfinite(change).all()):
            change = self._finite(change, radius)
        return self.nearest(x, x + change, radius)

    def nearest(self, x: Tensor, point: Tensor, radius: Tensor) -> Tensor:
        """The same for a step of an attack: what is not a number stays so."""
        return self.box(x, x + self.shrink(point - x, radius))

    def _finite(self, change: Tensor, radius: Tensor) -> Tensor:
        infinite = change.isinf()
        rest = change.masked_fill(change.isnan() | infinite, 0.0)
        if self.norm != "linf":  # where values share a budget, an infinity leaves the others none
            rest = rest.masked_fill(expand(infinite.flatten(1).any(dim=1), rest), 0.0)
        farthest = self.steepest(change.sign().masked_fill(~infinite, 0.0))
        return rest + expand(radius, change) * farthest

    def shrink(self, change: Tensor, radius: Tensor) -> Tensor:
        """The nearest change within the ball, the box left aside."""
        return BALLS[self.norm].shrink(change, radius)

    def steepest(self, gradient: Tensor) -> Tensor:
        """The change of norm 1 along which a loss with this gradient rises fastest.

        The sign for L∞, g / ‖g‖₂ for L2; 0 where the gradient is zero, and NaN where it is NaN (for
        L2 in the whole clip): an attack that met one must not look like one that found nothing to
        change.
        """
        return BALLS[self.norm].steepest(gradient)

    def random_start(self, x: Tensor, radius: Tensor, rng: Rng) -> Tensor:
        """A random point of the ball: uniform in L∞; in L2 a uniform direction, and a uniform share
        of the radius."""
        return self.box(x, x + expand(radius, x) * BALLS[self.norm].inside(x.shape[1:], rng).to(x))

    def to_dict(self) -> dict[str, str]:
        """As reports show it."""
        return {"domain": self.domain, "norm": self.norm, "unit": self.unit}


def vector_norm(x: Tensor) -> Tensor:
    """Euclidean norm of each clip, (batch, ...) → (batch,).

    Summed in float64: the square of a float32 may be larger or smaller than every float32.
    """
    norm: Tensor = torch.linalg.vector_norm(x.flatten(1), dim=1, dtype=torch.float64)
    return norm.to(x.dtype)


def expand(value: Tensor, like: Tensor) -> Tensor:
    """(batch,) → (batch, 1, ...), for one number a clip beside many."""
    return value.view(-1, *[1] * (like.ndim - 1))
