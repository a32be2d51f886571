"""A gate's condition: ``NAME[:WHICH][@STRENGTH][.BOUND] OPERATOR NUMBER``.

For example ``worst_uar@0.02.low < 0.35`` or ``success_rate:fgsm@0.02.high > 0.5``. A condition says
when a gate fails.
"""

import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from app.errors import shown
from app.gates.errors import GateError

Bound = Literal["value", "low", "high", "n"]
BOUNDS: Final[dict[str, Bound]] = {"value": "value", "low": "low", "high": "high", "n": "n"}
"""Of a figure: itself, the ends of its interval, and the number of clips that it is taken of."""
OPERATORS: Final[dict[str, Callable[[float, float], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
MOST_CHARACTERS: Final = 200

_NUMBER: Final = r"[+-]?(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
_CONDITION: Final = re.compile(
    r"(?P<name>[a-z][a-z0-9_]*)"
    r"(?::(?P<which>[A-Za-z0-9_#/-]+))?"
    rf"(?:@(?P<strength>{_NUMBER}))?"
    r"(?:\.(?P<bound>[a-z]+))?"
    r"\s*(?P<operator>[<>=!]+)\s*"
    rf"(?P<number>{_NUMBER})"
)
FORM: Final = (
    "give NAME[:ATTACK][@STRENGTH][.low|.high|.n|.value] and <, <=, > or >= and a number, such as"
    " 'worst_uar@0.02.low < 0.35'"
)


@dataclass(frozen=True)
class Condition:
    """When a gate fails.

    Attributes:
        name: of a figure, such as "worst_uar".
        which: the attack, or the threat model of a worst case; None if there is one only.
        strength: in the unit of its threat model; None if there is one only.
        bound: of the figure.
        operator: one of `OPERATORS`.
        number: that the bound is held against.
    """

    name: str
    which: str | None
    strength: float | None
    bound: Bound
    operator: str
    number: float

    @property
    def figure(self) -> str:
        """The figure alone, as a gate spells it."""
        which = "" if self.which is None else f":{self.which}"
        at = "" if self.strength is None else f"@{self.strength:.12g}"
        return f"{self.name}{which}{at}"

    def __str__(self) -> str:
        bound = "" if self.bound == "value" else f".{self.bound}"
        return f"{self.figure}{bound} {self.operator} {self.number:.12g}"

    def holds(self, value: float) -> bool:
        """Whether the gate fails with this value of the bound."""
        return OPERATORS[self.operator](value, self.number)


def parse(text: str) -> Condition:
    """The condition that a text states.

    Raises:
        GateError: it states none, or a number in it is not finite.
    """
    if len(text) > MOST_CHARACTERS:
        raise GateError(
            f"The gate {shown(text)} has {len(text)} characters: give at most {MOST_CHARACTERS}."
        )
    found = _CONDITION.fullmatch(text.strip())
    if found is None:
        raise GateError(f"{shown(text)} is no gate: {FORM}.")
    bound = BOUNDS.get(found["bound"] or "value")
    if bound is None:
        raise GateError(
            f"{shown(text)} asks for the bound {shown(found['bound'])}: give one of"
            f" {', '.join(BOUNDS)}."
        )
    if found["operator"] not in OPERATORS:
        raise GateError(
            f"{shown(text)} compares with {shown(found['operator'])}: give one of"
            f" {', '.join(OPERATORS)}. A measured figure equals no number for good."
        )
    strength = None if found["strength"] is None else _finite(found["strength"], text)
    return Condition(
        name=found["name"],
        which=found["which"],
        strength=strength,
        bound=bound,
        operator=found["operator"],
        number=_finite(found["number"], text),
    )


def _finite(number: str, text: str) -> float:
    value = float(number)
    if not math.isfinite(value):
        raise GateError(f"{shown(text)} holds {number}, which is too large: give a finite number.")
    return value
