"""The figures of an audit, by the names that a gate may use.

| name | figure |
|---|---|
| `clean_MEASURE` | of the clips as they are |
| `MEASURE:ATTACK@STRENGTH` | of a point of the curve |
| `worst_MEASURE:THREAT@STRENGTH` | of a worst case |
| `smallest_QUANTILE:ATTACK` | of the smallest strengths that break |
| `delta_…` | this audit minus the baseline, of any that both have |

Measures and attacks are whatever the result has. Attack and strength may be left out where one
figure alone has the name; ATTACK is a type, or ``TYPE#INDEX`` where several are of that type.
"""

import difflib
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from app.gates.audit import AttackOfAudit, AuditResult, Figure, Threat
from app.gates.errors import GateError
from app.gates.expression import Condition

MOST_NAMED: Final = 20
"""Names that an error lists."""
DELTA: Final = "delta_"


@dataclass(frozen=True)
class Term:
    """A figure with its name.

    Attributes:
        which: the ways to say which attack or threat model it is of, the full one last; none of a
            figure of the clips as they are.
        strength: None of a figure that has none.
    """

    name: str
    which: tuple[str, ...]
    strength: float | None
    figure: Figure

    @property
    def full(self) -> str:
        """Its name in full, which no other figure has."""
        which = f":{self.which[-1]}" if self.which else ""
        at = "" if self.strength is None else f"@{self.strength:.12g}"
        return f"{self.name}{which}{at}"

    def meant_by(self, condition: Condition) -> bool:
        """Whether a condition names it; what it leaves out fits any."""
        return (
            condition.name == self.name
            and (condition.which is None or condition.which in self.which)
            and (
                condition.strength is None
                or (self.strength is not None and math.isclose(condition.strength, self.strength))
            )
        )


def terms(result: AuditResult, deltas: Sequence[Term] = ()) -> list[Term]:
    """All figures of an audit.

    Args:
        deltas: differences from a baseline.
    """
    return [*_terms(result), *deltas]


def _terms(result: AuditResult) -> Iterator[Term]:
    attacks = {attack.index: attack_names(attack, result.attacks) for attack in result.attacks}
    yield from _named("clean_", (), None, result.clean.measures)
    for point in result.curve:
        yield from _named("", attacks[point.attack], point.strength, point.measures)
    for case in result.worst_case:
        yield from _named("worst_", threat_names(case.threat), case.strength, case.measures)
    for found in result.minimum:
        yield from _named("smallest_", attacks[found.attack], None, found.figures)


def attack_names(attack: AttackOfAudit, attacks: Sequence[AttackOfAudit]) -> tuple[str, ...]:
    """The ways to name an attack: by its type, and with its index where others are of that type."""
    several = sum(one.type == attack.type for one in attacks) > 1
    return (attack.type, f"{attack.type}#{attack.index}") if several else (attack.type,)


def threat_names(threat: Threat) -> tuple[str, ...]:
    """The ways to name a threat model."""
    return (threat.domain, f"{threat.domain}/{threat.norm}")


def _named(
    prefix: str, which: tuple[str, ...], strength: float | None, figures: Mapping[str, Figure]
) -> Iterator[Term]:
    for name, figure in figures.items():
        yield Term(f"{prefix}{name}", which, strength, figure)


def find(condition: Condition, known: Sequence[Term]) -> Term:
    """The figure that a condition names.

    Raises:
        GateError: there is none, or there are several; the nearest names that there are stand in
            the message.
    """
    found = [term for term in known if term.meant_by(condition)]
    if len(found) == 1:
        return found[0]
    if not found:
        advice = ""
        if condition.name.startswith(DELTA) and not any(t.name.startswith(DELTA) for t in known):
            advice = " A delta needs a baseline (--baseline AUDIT)."
        raise GateError(
            f"The audit has no figure {condition.figure}.{advice} Nearest of"
            f" {len(known)}: {_listed(nearest(condition.figure, [t.full for t in known]))}."
        )
    raise GateError(
        f"{condition.figure} names {len(found)} figures; give one of"
        f" {_listed([term.full for term in found])}."
    )


def nearest(name: str, known: Sequence[str]) -> list[str]:
    """The known names, the most similar first."""
    parts = Counter(name)
    matcher = difflib.SequenceMatcher(autojunk=False)
    matcher.set_seq2(name)

    def likeness(one: str) -> float:
        matcher.set_seq1(one)
        return matcher.ratio()

    # The ratio is slow: of thousands of names it is asked of those alone that share most letters.
    close = sorted(known, key=lambda one: -sum((parts & Counter(one)).values()) / (len(one) + 1))
    return sorted(close[: 10 * MOST_NAMED], key=lambda one: -likeness(one))


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
    return f"{', '.join(names[:MOST_NAMED])}{more}"
