"""What every attack is: parameters with their bounds, what it costs, and how it is run.

An attack only proposes. Whoever runs it (:mod:`models.audit.runner`) projects what it returns back
to the ball, scores it anew and decides what was a success.

The rules:

- **Pure.** An attack sees a model through a frozen view, never modifies ``x``, and returns a
  detached tensor of its shape, dtype and device. A radius of 0 gives an equal copy.
- **The clip alone.** Gradients are of the summed objective and random numbers come from ``rng``, so
  a clip's attack does not depend on its batch.
- **It hides no failure.** Where the gradient is not a number, neither is the answer; where it is
  zero, nothing moves.
- **It tells its cost** before it runs, and is stopped when it asks for more.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Final, Literal

import torch
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError, PydanticKnownError
from torch import Tensor

from models.objectives import Loss, Objective, margin
from models.registry import Registry
from models.rng import Rng
from models.threats import Domain, Norm, ThreatModel, expand
from models.victims.victim import Access, Cost, View

MAX_STRENGTHS: Final = 32
"""Of one attack."""

AttackLabels = Literal["true", "predicted"]
"""What an attack moves away from: the true labels, or what the model says itself."""


def _listed(value: object) -> object:
    if isinstance(value, list):
        return tuple(value)
    if value is None or isinstance(value, tuple):
        return value
    raise PydanticKnownError("list_type")


Listed = BeforeValidator(_listed)
"""For a parameter that is a tuple, ``Annotated[tuple[…], Listed]``: JSON knows lists alone."""

Strengths = Annotated[
    tuple[Annotated[float, Field(ge=0)], ...],
    Field(json_schema_extra={"minItems": 1, "maxItems": MAX_STRENGTHS}),
]


class TargetLabel(BaseModel):
    """The emotion that the model is to be made to hear."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: str = Field(min_length=1, max_length=100, examples=["neutral"])


Goal = Literal["untargeted", "all_targets"] | TargetLabel


@dataclass(frozen=True)
class Crafted:
    """What an attack proposes at one strength.

    Attributes:
        x: (batch, ...), detached.
        details: what else it has to say of each clip, in JSON's types, by name.
    """

    x: Tensor
    details: Mapping[str, Sequence[Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Unsuited:
    """Why an attack cannot be run on a model: its field, the value, the reason and a remedy."""

    field: str
    value: object
    reason: str
    remedy: str


class Attack(BaseModel):
    """Base of all attacks. A subclass declares ``type``, its parameters, :meth:`run` and a cost.

    Parameters are strict: a number is no string, and true is no number.

    Class attributes:
        needs: the access to the model without which it cannot run.
        control: it has no adversary: its figures say what a change of that size does by itself.
        can_target: whether it can move *towards* a label.
        exact_cost: whether :meth:`cost` is what is spent, and not only the most.
        atlas: ids of the techniques of MITRE ATLAS that it carries out, which names are given in
            :mod:`models.atlas`; none of a control, which has no adversary.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        validate_default=True,
        serialize_by_alias=True,
    )

    needs: ClassVar[Access] = Access.GRADIENTS
    control: ClassVar[bool] = False
    can_target: ClassVar[bool] = False
    exact_cost: ClassVar[bool] = True
    atlas: ClassVar[tuple[str, ...]] = ()

    type: str
    domain: Domain = Field("features", description="What is changed: the log-mels or the sound.")
    norm: Norm = Field("linf", description="How the size of the change is measured.")
    epsilon: Annotated[Strengths | None, Listed] = Field(
        None,
        description="Strengths. Of log-mels: standard deviations of a mel band (norm linf: of every"
        " value; l2: Euclidean norm over the window). Of waveforms with norm linf: full scale.",
        examples=[[0.02, 0.04, 0.06, 0.08, 0.1]],
    )
    snr_db: Annotated[Strengths | None, Listed] = Field(
        None,
        description="Strengths of waveforms with norm l2: signal-to-noise ratios in dB. Smaller is"
        " a stronger attack.",
        examples=[[60, 50, 40, 30]],
    )
    labels: AttackLabels = Field(
        "true",
        description="What is attacked: the true label, or the model's own prediction, which cannot"
        " break what is wrong already and may repair it. A clip without a label is always attacked"
        " at the prediction.",
    )
    goal: Goal = Field(
        "untargeted",
        description="untargeted: any other label. all_targets: towards every other label in turn,"
        " and the one that comes nearest counts. {label}: that one.",
    )
    minimum: bool = Field(
        False,
        description="Also search, clip by clip, for the smallest strength that breaks it, up to the"
        " strongest of these.",
    )

    @model_validator(mode="before")
    @classmethod
    def _an_snr_is_of_l2(cls, values: object) -> object:
        if (
            isinstance(values, Mapping)
            and "norm" not in values
            and values.get("domain") == "waveform"
            and values.get("snr_db") is not None
        ):
            return dict(values) | {"norm": "l2"}
        return values

    @field_validator("epsilon", "snr_db")
    @classmethod
    def _strengths_of_the_threat_model(
        cls, value: tuple[float, ...] | None, info: ValidationInfo
    ) -> tuple[float, ...] | None:
        if value is None or not {"domain", "norm"} <= info.data.keys():
            return value
        threat = ThreatModel(info.data["domain"], info.data["norm"])
        if info.field_name != threat.strength_name:
            raise PydanticCustomError(
                "wrong_unit",
                "{given} does not measure {domain} with norm {norm}: give {wanted}",
                {
                    "given": info.field_name or "",
                    "domain": threat.domain,
                    "norm": threat.norm,
                    "wanted": threat.strength_name,
                },
            )
        if not 1 <= len(value) <= MAX_STRENGTHS:
            raise PydanticCustomError(
                "number_of_strengths",
                "holds {given} strengths: give 1 to {most}",
                {"given": len(value), "most": MAX_STRENGTHS},
            )
        if max(value) > threat.largest:
            raise PydanticCustomError(
                "too_large",
                "{value} is more than is accepted: give at most {largest} {unit}",
                {"value": max(value), "largest": threat.largest, "unit": threat.unit},
            )
        twice = [strength for strength, times in Counter(value).items() if times > 1]
        if twice:
            raise PydanticCustomError(
                "strength_twice",
                "holds {value} more than once: give each strength once",
                {"value": twice[0]},
            )
        return value

    @field_validator("goal", mode="before")
    @classmethod
    def _a_goal_that_it_has(cls, value: object) -> object:
        # by hand, because the refusal of a union names each of its members
        if isinstance(value, Mapping):
            value = TargetLabel.model_validate(dict(value))
        elif not isinstance(value, TargetLabel) and value not in ("untargeted", "all_targets"):
            raise PydanticCustomError(
                "unknown_goal",
                'is no goal: give "untargeted", "all_targets" or an object with a label',
            )
        if value != "untargeted" and not cls.can_target:
            raise PydanticCustomError(
                "untargeted_only", "this attack only moves away from a label: leave goal out"
            )
        return value

    @property
    def threat(self) -> ThreatModel:
        """What it may change."""
        return ThreatModel(self.domain, self.norm)

    @property
    def strengths(self) -> tuple[float, ...]:
        """In the unit of its threat model; none in a training, which gives its own."""
        return (self.snr_db if self.threat.strength_name == "snr_db" else self.epsilon) or ()

    @property
    def needs_strengths(self) -> str:
        """The field that an audit needs and this attack lacks, or ""."""
        return "" if self.strengths else self.threat.strength_name

    @property
    def sources(self) -> tuple[str, ...]:
        """Other models that it needs, by what a request calls them."""
        return ()

    def parameters(self) -> dict[str, Any]:
        """What makes it this attack, its strengths left out: JSON's types, defaults spelt out."""
        return self.model_dump(
            mode="json", by_alias=True, exclude={"type", "epsilon", "snr_db", "minimum"}
        )

    def identity(self) -> str:
        """The same for two attacks that differ in nothing but their strengths."""
        return f"{self.type} {self.parameters()}"

    def describe(self) -> str:
        """In words: its type, and the parameters that are not their defaults."""
        said = self.parameters()
        defaults = {name: one.default for name, one in type(self).model_fields.items()}
        told = [
            f"{name} {value['label'] if isinstance(value, dict) and 'label' in value else value}"
            for name, value in said.items()
            if value != defaults.get(name) and name not in {"domain", "norm"}
        ]
        return ", ".join([self.type.upper(), *told])

    def unsuited(self, labels: Sequence[str]) -> Unsuited | None:
        """Why it cannot be run on a model with these labels; None if it can."""
        if isinstance(self.goal, TargetLabel) and self.goal.label not in labels:
            return Unsuited(
                "goal.label",
                self.goal.label,
                "the model does not know it",
                f"give one of {', '.join(labels)}",
            )
        return None

    def runs(self, n_classes: int) -> int:
        """How often :meth:`run` is run for a strength."""
        return n_classes - 1 if self.goal == "all_targets" else 1

    def run_cost(self, n_classes: int) -> Cost:
        """The most that one :meth:`run` asks of the model, of one clip."""
        raise NotImplementedError

    def cost(self, n_classes: int, strengths: int = 1) -> Cost:
        """The most that :meth:`craft` asks of the model, of one clip, for so many strengths.

        An attack whose work depends on what it finds asks for less; see :attr:`exact_cost`.
        """
        runs = self.runs(n_classes)
        choosing = Cost(forwards=runs) if self.goal == "all_targets" else Cost()
        if self.needs < Access.GRADIENTS:
            choosing = Cost(choosing.forwards, 0, choosing.forwards)
        return (self.run_cost(n_classes) * runs + choosing) * strengths

    def run(self, view: View, x: Tensor, y: Tensor, radius: Tensor, rng: Rng) -> Tensor:
        """The strongest input that it finds within ``radius``, for each clip.

        Args:
            view: of the model; its rows are those of ``x``.
            x: clean input, (batch, ...), any rank; not modified.
            y: labels to move away from, or towards if :attr:`targeted`, (batch,), int64.
            radius: of the threat model's ball, (batch,), in the units of ``x``.
            rng: draws, one row a clip.

        Returns:
            Shape, dtype and device of ``x``, detached; NaN where the gradient is NaN.
        """
        raise NotImplementedError

    def craft(
        self, view: View, x: Tensor, y: Tensor, radii: Iterable[Tensor], rng: Rng
    ) -> Iterator[Crafted]:
        """:meth:`run` at several strengths, with the goal resolved.

        Each strength has the same draws.

        Args:
            y: the label that each clip is attacked at, (batch,).
            radii: (batch,) for each strength, taken one by one as they are needed.

        Yields:
            What is proposed at each strength, in their order.
        """
        for radius in radii:
            if self.goal == "all_targets":
                yield self._towards_all(view, x, y, radius, rng)
            else:
                aim = self._aim(view, y)
                yield Crafted(self.run(view, x, aim, radius, rng.named(self.type)))

    @property
    def targeted(self) -> bool:
        """Whether :meth:`run` is to move towards ``y``."""
        return self.goal != "untargeted"

    def objective(self, y: Tensor, loss: Loss = "ce") -> Objective:
        """What :meth:`run` is to maximise."""
        return Objective(y, loss, self.targeted)

    def _aim(self, view: View, y: Tensor) -> Tensor:
        if isinstance(self.goal, TargetLabel):
            return torch.full_like(y, view.labels.index(self.goal.label))
        return y

    def _towards_all(self, view: View, x: Tensor, y: Tensor, radius: Tensor, rng: Rng) -> Crafted:
        """Towards every other label in turn; the one with the largest margin over ``y`` counts."""
        n_classes = len(view.labels)
        best, best_margin = x.detach().clone(), torch.full_like(radius, float("-inf"))
        target = (y + 1) % n_classes
        for offset in range(1, n_classes):
            aim = (y + offset) % n_classes
            found = self.run(view, x, aim, radius, rng.named(f"{self.type}/{offset}"))
            reached = margin(view.scores(found), y).to(best_margin)
            # A missing gradient is not hidden by another target: NaN counts, and stays.
            reached[found.flatten(1).isnan().any(dim=1)] = float("nan")
            better = (reached > best_margin) | reached.isnan()
            best = torch.where(expand(better, x), found, best)
            target = torch.where(better, aim, target)
            best_margin = torch.where(better, reached, best_margin)
        return Crafted(best, {"target": [view.labels[number] for number in target.tolist()]})


ATTACKS: Final[Registry[Attack]] = Registry("attack")
"""What an audit can run, by type."""

AnyAttack = Annotated[Attack, ATTACKS]
"""An attack in a request: the discriminated union of all that are registered."""


def parse(value: object) -> Attack:
    """The attack that a mapping describes; see :meth:`models.registry.Registry.parse`."""
    return ATTACKS.parse(value)


__all__ = [
    "ATTACKS",
    "MAX_STRENGTHS",
    "AnyAttack",
    "Attack",
    "AttackLabels",
    "Crafted",
    "Goal",
    "Listed",
    "TargetLabel",
    "Unsuited",
    "parse",
]
