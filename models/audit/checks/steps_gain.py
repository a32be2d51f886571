"""The attack was stopped before it had found what there is."""

from collections import defaultdict
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

from models.attacks import ATTACKS, Attack
from models.audit.checks.check import CHECKS, Check
from models.audit.checks.observed import Observed, is_iterative
from models.audit.checks.outcome import Clear, NotRun, Outcome, Raised
from models.audit.checks.patches import with_attacks

MOST: Final = 0.02
FEWEST: Final = 20
"""Steps that a remedy gives the shorter of two attacks."""


@dataclass(frozen=True)
class Pair:
    """Two attacks that differ in their steps alone, by index, the longer one at least twice as
    long."""

    shorter: int
    longer: int
    steps: tuple[int, int]


@CHECKS.register("steps_gain")
class StepsGain(Check):
    """More steps still break more clips."""

    id = "steps_gain"
    title = "Twice the steps still break more clips"
    severity = "weak"
    reads = "two iterative attacks of which one has at least twice the steps of the other"
    raised_if = (
        "at some strength the longer one's success is more than 2 points above the shorter one's"
    )
    remedy = "Give the attack more steps, until more of them gain nothing."
    source = "Carlini et al., On Evaluating Adversarial Robustness, 2019, Sec. 5.2."

    def look(self, audit: Observed) -> Outcome:
        """See :class:`Check`."""
        numbers = [n for n in audit.which(is_iterative) if _steps(audit.adversaries[n])]
        pairs = _pairs(audit, numbers)
        gains = [gain for pair in pairs for gain in _gains(audit, pair)]
        if not gains:
            return _not_run(audit, numbers)
        gain, pair, strength = max(gains, key=lambda one: one[0])
        kind = audit.attacks[pair.longer]
        told = (
            f"{kind.type} with {pair.steps[1]} steps in place of {pair.steps[0]} gains"
            f" {100 * gain:.1f} points of success at {strength:g} {kind.threat.unit}."
        )
        if gain <= MOST:
            return Clear(told)
        return Raised(told, self.remedy, _longer(audit, pair))


def _steps(attack: Attack) -> int:
    """0 for an attack without."""
    found = attack.parameters().get("steps", 0)
    return found if isinstance(found, int) else 0


def _pairs(audit: Observed, numbers: list[int]) -> list[Pair]:
    """Of each kind of attack the longest, and the longest with at most half its steps."""
    alike: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for number in numbers:
        attack = audit.adversaries[number]
        rest = {name: one for name, one in attack.parameters().items() if name != "steps"}
        alike[f"{attack.type} {rest}"].append((_steps(attack), number))
    found = []
    for each in alike.values():
        twos = [
            (long, short)
            for short, long in combinations(sorted(each), 2)
            if long[0] >= 2 * short[0] and long == max(each)
        ]
        if twos:
            long, short = max(twos)
            found.append(Pair(short[1], long[1], (short[0], long[0])))
    return found


def _gains(audit: Observed, pair: Pair) -> list[tuple[float, Pair, float]]:
    threat = audit.adversaries[pair.longer].threat
    shared = set(audit.strengths([pair.shorter], threat))
    found = []
    for strength in audit.strengths([pair.longer], threat):
        if strength not in shared:
            continue
        overlap = audit.broken([pair.shorter], threat, strength).beside(
            audit.broken([pair.longer], threat, strength)
        )
        if overlap.n:
            before, after = overlap.rates
            found.append((after - before, pair, strength))
    return found


def _with_steps(attack: Attack, steps: int) -> Attack:
    most = 1000  # what iterative attacks take
    said: dict[str, Any] = attack.model_dump(mode="json")
    return ATTACKS.parse(said | {"steps": min(steps, most)})


def _not_run(audit: Observed, numbers: list[int]) -> NotRun:
    if not numbers:
        return NotRun("No attack of several gradient steps was scored.")
    attack = audit.adversaries[numbers[0]]
    return NotRun(
        "No two attacks of the audit differ in their steps alone, one with twice those of the"
        " other.",
        f"Run {attack.type} with {2 * _steps(attack)} steps as well.",
        with_attacks(audit, _with_steps(attack, 2 * _steps(attack))),
    )


def _longer(audit: Observed, pair: Pair) -> dict[str, Any]:
    """Both with more steps: the shorter one with twice those of the longer one."""
    steps = max(FEWEST, 2 * pair.steps[1])
    attack = audit.adversaries[pair.longer]
    added = [_with_steps(attack, steps), _with_steps(attack, 2 * steps)]
    return with_attacks(audit, *added, without={pair.shorter, pair.longer})
