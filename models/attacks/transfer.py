"""Transfer: adversarial inputs crafted on another model (Papernot et al., 2016, arXiv:1605.07277).

The attacker owns the source, sees everything of it, and never asks the victim.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Final, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator
from pydantic.json_schema import SkipJsonSchema
from pydantic_core import InitErrorDetails, PydanticCustomError, ValidationError
from torch import Tensor

from models.attacks.attack import (
    ATTACKS,
    AnyAttack,
    Attack,
    AttackLabels,
    Crafted,
    Goal,
    Unsuited,
)
from models.rng import Rng
from models.threats import Domain, Norm
from models.victims.victim import Access, Cost, View

OF_THE_INNER: Final = ("domain", "norm", "epsilon", "snr_db", "labels", "goal")
"""Fields of every attack that a transfer takes from the attack that it carries out."""


@ATTACKS.register
class Transfer(Attack):
    """An attack on another model of the same labels, whose results are tried on this one.

    Domain, norm, strengths, labels and goal are those of ``attack``.
    """

    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)

    needs: ClassVar[Access] = Access.LABELS
    can_target: ClassVar[bool] = True
    atlas: ClassVar[tuple[str, ...]] = ("AML.T0043.002", "AML.T0015")

    type: Literal["transfer"] = "transfer"
    source: str = Field(
        alias="from",
        min_length=1,
        max_length=100,
        description="The model that the attack is carried out on.",
    )
    attack: AnyAttack = Field(description="What is carried out there.")

    domain: SkipJsonSchema[Domain] = Field("features", exclude=True)
    norm: SkipJsonSchema[Norm] = Field("linf", exclude=True)
    epsilon: SkipJsonSchema[tuple[float, ...] | None] = Field(None, exclude=True)
    snr_db: SkipJsonSchema[tuple[float, ...] | None] = Field(None, exclude=True)
    labels: SkipJsonSchema[AttackLabels] = Field("true", exclude=True)
    goal: SkipJsonSchema[Goal] = Field("untargeted", exclude=True)

    @model_validator(mode="before")
    @classmethod
    def _as_the_inner_attack(cls, values: object) -> object:
        if not isinstance(values, Mapping):
            return values
        outside = [name for name in OF_THE_INNER if name in values]
        if outside:
            raise _belongs_inside(outside, values)
        try:
            inner = ATTACKS.parse(values.get("attack"))
        except ValueError:  # refused again as the field, which gives the refusal its place
            return values
        taken = {name: getattr(inner, name) for name in OF_THE_INNER}
        return {"minimum": inner.minimum} | dict(values) | taken | {"attack": inner}

    @field_validator("attack")
    @classmethod
    def _an_adversary_of_its_own(cls, value: Attack) -> Attack:
        if isinstance(value, Transfer):
            raise PydanticCustomError(
                "transfer_twice", "is a transfer itself: give the attack that is carried out"
            )
        if value.control:
            raise PydanticCustomError(
                "transfer_of_a_control",
                "{type} has no adversary, so there is nothing to transfer: run it on this model",
                {"type": value.type},
            )
        return value

    @property
    def needs_strengths(self) -> str:
        """See :meth:`Attack.needs_strengths`: they are given inside."""
        missing = self.attack.needs_strengths
        return missing and f"attack.{missing}"

    @property
    def sources(self) -> tuple[str, ...]:
        """The model that it is crafted on."""
        return (self.source,)

    @property
    def exact_cost(self) -> bool:  # type: ignore[override]  # that of another attack
        """Whether the inner attack's is."""
        return self.attack.exact_cost

    def parameters(self) -> dict[str, Any]:
        """The source, and what makes the inner attack what it is."""
        inner = {"type": self.attack.type} | self.attack.parameters()
        return {"from": self.source, "attack": inner}

    def describe(self) -> str:
        """In words."""
        return f"{self.attack.describe()}, crafted on {self.source}"

    def unsuited(self, labels: Sequence[str]) -> Unsuited | None:
        """What the inner attack says: the source has to have the same labels."""
        fault = self.attack.unsuited(labels)
        return fault and replace(fault, field=f"attack.{fault.field}")

    def runs(self, n_classes: int) -> int:
        """As the inner attack."""
        return self.attack.runs(n_classes)

    def run_cost(self, n_classes: int) -> Cost:
        """Passes of the source. None of them is a query: it belongs to the attacker."""
        return replace(self.attack.run_cost(n_classes), queries=0)

    def cost(self, n_classes: int, strengths: int = 1) -> Cost:
        """Likewise, of all strengths."""
        return replace(self.attack.cost(n_classes, strengths), queries=0)

    def run(self, view: View, x: Tensor, y: Tensor, radius: Tensor, rng: Rng) -> Tensor:
        """See :meth:`Attack.run`."""
        return self.attack.run(view.other(self.source), x, y, radius, rng)

    def craft(
        self, view: View, x: Tensor, y: Tensor, radii: Iterable[Tensor], rng: Rng
    ) -> Iterator[Crafted]:
        """See :meth:`Attack.craft`; the draws are those of the inner attack on its own."""
        return self.attack.craft(view.other(self.source), x, y, radii, rng)


def _belongs_inside(names: Sequence[str], values: Mapping[str, object]) -> ValidationError:
    reason = PydanticCustomError("belongs_inside", "belongs inside: give it as a field of attack")
    details = [InitErrorDetails(type=reason, loc=(name,), input=values[name]) for name in names]
    return ValidationError.from_exception_data("transfer", details)
