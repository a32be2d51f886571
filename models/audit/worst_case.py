"""The worst case of a threat model: each clip under whichever attack breaks it.

An attacker is not bound to one attack. At each strength all attacks of the same threat model count
that are no stronger, so the UAR here is the headline of an audit: never above that of any single
attack (Carlini et al., "On Evaluating Adversarial Robustness", 2019, Sec. 4.3, "per-example worst
case"). An attack with a label as its goal counts as well where it made the model wrong. Controls
and corruptions do not: neither noise nor a telephone is an adversary. As on the curve, success is
counted over the labelled clips, or over all if none has a label.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from models.attacks import Attack
from models.audit.controls import against, control_at
from models.audit.intervals import Bools, Ints
from models.audit.measures import figures
from models.audit.perturbation import Perturbation
from models.audit.result import Threat, WorstCase
from models.audit.table import UNKNOWN, Columns, Table
from models.threats import ThreatModel


def worst_cases(
    columns: Columns, attacks: Sequence[Perturbation], places: Mapping[tuple[int, float], int]
) -> list[WorstCase]:
    """By threat model, from the weakest strength to the strongest.

    Args:
        places: of the points in the curve, by attack and strength.
    """
    threats = dict.fromkeys(
        attack.threat for attack in attacks if isinstance(attack, Attack) and not attack.control
    )
    return [case for threat in threats for case in _cases(columns, attacks, places, threat)]


def _cases(
    columns: Columns,
    attacks: Sequence[Perturbation],
    places: Mapping[tuple[int, float], int],
    threat: ThreatModel,
) -> list[WorstCase]:
    """Those of a threat model."""
    own = [
        (number, strength)
        for number, attack in enumerate(attacks)
        if attack.threat == threat and not attack.control
        for strength in attack.strengths
    ]
    by = np.full(columns.n, UNKNOWN)  # the attack that made the model wrong first
    reached = np.full(columns.n, fill_value=True)
    found = []
    for strength in sorted({strength for _, strength in own}, key=threat.order):
        for number in sorted(number for number, each in own if each == strength):
            clips = columns.point(places[number, strength])
            first = clips.clip[~clips.right & (by[clips.clip] == UNKNOWN)]
            by[first] = number
            scored = np.zeros(columns.n, dtype=np.bool_)
            scored[clips.clip] = True
            # Of a clip that an audit did not come to, the worst case of a part would look better.
            reached &= scored
        control = control_at(attacks, threat, strength, places)
        found.append(_case(columns, threat, strength, by, reached, control))
    return found


def _case(
    columns: Columns,
    threat: ThreatModel,
    strength: float,
    by: Ints,
    reached: Bools,
    control: int | None,
) -> WorstCase:
    clips = _broken(columns, by, control).where(reached)
    counted = clips.where(clips.counted & clips.right_before)
    broken = by[counted.clip][counted.success == 1]
    taken = figures(clips, "worst_case")
    return WorstCase(
        threat=Threat(**threat.to_dict()),
        strength=strength,
        n=len(clips),
        right_before=len(counted),
        uar=taken["uar"].value,
        success_rate=taken["success_rate"].value,
        measures=taken,
        control=against(clips, control),
        broken_by={
            str(number): int((broken == number).sum()) for number in np.unique(broken).tolist()
        },
    )


def _broken(columns: Columns, by: Ints, control: int | None) -> Table:
    """All clips; right are those that were so before, and that no attack broke."""
    clean = columns.clean()
    right = clean.right_before & (by == UNKNOWN)
    success = np.where(clean.right_before, by != UNKNOWN, UNKNOWN)
    noise = None if control is None else columns.success(control, "untargeted")
    return replace(clean, right=right, success=success, control=noise)
