"""Audits to compare, by hand of rows."""

from collections.abc import Sequence

from models.attacks.fgsm import Fgsm
from models.attacks.noise import Noise
from models.audit import AuditRow
from models.audit.comparison import Outcomes
from models.audit.perturbation import Perturbation
from models.audit.result import AttackOfResult, Threat, TotalCost
from models.audit.summary import points
from tests.models.audit.rows import LABELS, row, under

ATTACKS = (Fgsm(epsilon=(0.1,)), Noise(epsilon=(0.1,)))


def outcomes(
    name: str,
    rows: Sequence[AuditRow],
    attacks: Sequence[Perturbation] = ATTACKS,
    labels: Sequence[str] = LABELS,
) -> Outcomes:
    """What an audit with these rows is compared by."""
    told = [
        AttackOfResult(
            index=number,
            type=one.type,
            parameters=one.parameters(),
            threat=Threat(**one.threat.to_dict()),
            control=one.control,
            cost=TotalCost(forwards=0, backwards=0, queries=0, seconds=0.0),
        )
        for number, one in enumerate(attacks)
    ]
    found = Outcomes(name, labels, told, [(one.attack, one.strength) for one in points(attacks)])
    for one in rows:
        found.add(one)
    return found


def clip(
    index: int,
    label: str | None,
    clean: str,
    attacked: str,
    noise: str,
    *,
    speaker: str | None = None,
) -> AuditRow:
    """A clip, what is said of it as it is, under FGSM, and under noise."""
    return row(
        label, clean, [under(0, 0.1, attacked), under(1, 0.1, noise)], index=index, speaker=speaker
    )
