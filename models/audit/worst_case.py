"""The worst case of a threat model: each clip under whichever attack breaks it.

An attacker is not bound to one attack. At each strength all attacks of the same threat model count
that are no stronger, so the UAR here is the headline of an audit: never above that of any single
attack (Carlini et al., "On Evaluating Adversarial Robustness", 2019, Sec. 4.3, "per-example worst
case"). An attack with a label as its goal counts as well where it made the model wrong. Controls
and corruptions do not: neither noise nor a telephone is an adversary. As on the curve, success is
counted over the labelled clips, or over all if none has a label.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from models.attacks import Attack
from models.audit.evidence import AuditRow
from models.audit.perturbation import Perturbation
from models.audit.result import Threat, WorstCase
from models.threats import ThreatModel


class WorstCases:
    """Takes rows in, and gives the worst case of each threat model at each strength.

    Args:
        labels: names of the classes.
        attacks: of the request.
    """

    def __init__(self, labels: Sequence[str], attacks: Sequence[Perturbation]) -> None:
        self._labels = labels
        self._attacks = {
            number: attack
            for number, attack in enumerate(attacks)
            if isinstance(attack, Attack) and not attack.control
        }
        strengths: dict[ThreatModel, set[float]] = defaultdict(set)
        for attack in self._attacks.values():
            strengths[attack.threat] |= set(attack.strengths)
        self._points = [
            (threat, strength)
            for threat, found in strengths.items()
            for strength in sorted(found, key=threat.order)
        ]
        self._wanted = {
            (threat, strength): {
                (number, own)
                for number, attack in self._attacks.items()
                if attack.threat == threat
                for own in attack.strengths
                if not threat.harder(own, strength)
            }
            for threat, strength in self._points
        }
        self._counts = {point: _Counts() for point in self._points}

    def add(self, row: AuditRow) -> None:
        """Count a clip, at each point that it was scored at in full."""
        reached = {(one.attack, one.strength) for one in row.attacked}
        first = self._first_broken(row)
        for threat, strength in self._points:
            if not self._wanted[threat, strength] <= reached:
                continue  # the audit ended before: the worst case of a part would look better
            broken = first.get(threat)
            by = None
            if broken is not None and not threat.harder(broken[0], strength):
                by = broken[1]
            self._counts[threat, strength].add(row, by)

    def _first_broken(self, row: AuditRow) -> dict[ThreatModel, tuple[float, int]]:
        """For each threat model the weakest strength that made the clip wrong, and which attack."""
        found: dict[ThreatModel, tuple[float, int]] = {}
        for one in row.attacked:
            attack = self._attacks.get(one.attack)
            if attack is None or one.label == row.truth:
                continue
            threat = attack.threat
            known = found.get(threat)
            if known is None or (threat.order(one.strength), one.attack) < (
                threat.order(known[0]), known[1],
            ):  # fmt: skip
                found[threat] = (one.strength, one.attack)
        return found

    def result(self) -> list[WorstCase]:
        """By threat model, from the weakest strength to the strongest."""
        return [self._case(threat, strength) for threat, strength in self._points]

    def _case(self, threat: ThreatModel, strength: float) -> WorstCase:
        counts = self._counts[threat, strength]
        present = [label for label in self._labels if counts.clips[label]]
        recalls = [counts.right[label] / counts.clips[label] for label in present]
        labelled = bool(present)
        before, by = counts.before[labelled], counts.by[labelled]
        return WorstCase(
            threat=Threat(**threat.to_dict()),
            strength=strength,
            n=counts.n,
            right_before=before,
            uar=sum(recalls) / len(recalls) if recalls else None,
            success_rate=by.total() / before if before else None,
            broken_by={str(number): n for number, n in sorted(by.items())},
        )


@dataclass
class _Counts:
    """Clips at one point.

    Attributes:
        clips, right: by true label: all, and those that are right after all attacks.
        before: by whether they have a label: those that were right before.
        by: by whether they have a label: those that were broken, by the attack that was first.
    """

    n: int = 0
    clips: Counter[str] = field(default_factory=Counter)
    right: Counter[str] = field(default_factory=Counter)
    before: Counter[bool] = field(default_factory=Counter)
    by: dict[bool, Counter[int]] = field(
        default_factory=lambda: {True: Counter(), False: Counter()}
    )

    def add(self, row: AuditRow, by: int | None) -> None:
        """Count a clip, and the attack that made the model wrong."""
        labelled = row.label is not None
        self.n += 1
        if row.label is not None:
            self.clips[row.label] += 1
        if not row.right_before:
            return
        self.before[labelled] += 1
        if by is not None:
            self.by[labelled][by] += 1
        elif row.label is not None:
            self.right[row.label] += 1
