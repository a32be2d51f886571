"""What gates read of a comparison, as the service answers it, and the names of its differences."""

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field

from app.gates.audit import AuditResult, Figure, Read, Threat
from app.gates.names import DELTA, Term, attack_names, threat_names


class Delta(Figure):
    """A figure of the audit minus that of the baseline, over the clips of both."""

    figure: str
    case: Literal["clean", "worst_case", "point"]
    threat: Threat | None = None
    strength: float | None = None
    attack: str | None = None
    parameters: dict[str, Any] | None = None


class Comparison(Read):
    """An audit beside its baseline."""

    deltas: list[Delta] = Field(default_factory=list)


def deltas(comparison: Comparison, result: AuditResult) -> list[Term]:
    """The differences, named as the figures of the audit are.

    Args:
        result: of the audit, which knows its attacks.
    """
    return [term for delta in comparison.deltas for term in _named(delta, result)]


def _named(delta: Delta, result: AuditResult) -> Iterator[Term]:
    if delta.case == "clean":
        yield Term(f"{DELTA}clean_{delta.figure}", (), None, delta)
    elif delta.case == "worst_case" and delta.threat is not None:
        which = threat_names(delta.threat)
        yield Term(f"{DELTA}worst_{delta.figure}", which, delta.strength, delta)
    else:
        for attack in result.attacks:
            same = (attack.type, attack.threat, attack.parameters)
            if same == (delta.attack, delta.threat, delta.parameters):
                which = attack_names(attack, result.attacks)
                yield Term(f"{DELTA}{delta.figure}", which, delta.strength, delta)
