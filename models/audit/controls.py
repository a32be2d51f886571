"""Which noise an attack is held against, and what it breaks beyond that.

A change of a size breaks some clips whoever makes it. Only what an attack does beyond noise of the
same threat model and strength is the adversary's work. Where an attack has a label as its goal,
noise is held to that goal, too.
"""

from collections.abc import Mapping, Sequence

from models.attacks import Attack
from models.audit.intervals import mcnemar
from models.audit.perturbation import Perturbation
from models.audit.result import Control
from models.audit.table import Table
from models.threats import ThreatModel


def control_of(
    attacks: Sequence[Perturbation],
    number: int,
    strength: float,
    places: Mapping[tuple[int, float], int],
) -> int | None:
    """The place in the curve of the noise that an attack is held against at a strength.

    Args:
        number: of the attack.
        places: by attack and strength.

    Returns:
        None without such noise, and for a control itself.
    """
    attack = attacks[number]
    if attack.control or not isinstance(attack, Attack):
        return None
    return control_at(attacks, attack.threat, strength, places)


def control_at(
    attacks: Sequence[Perturbation],
    threat: ThreatModel,
    strength: float,
    places: Mapping[tuple[int, float], int],
) -> int | None:
    """The place in the curve of the first such noise of the request; None without one."""
    for number, noise in enumerate(attacks):
        if noise.control and noise.threat == threat and (number, strength) in places:
            return places[number, strength]
    return None


def against(clips: Table, place: int | None) -> Control | None:
    """Which clips the attack breaks and the noise does not, and the other way round.

    Args:
        clips: with the noise's outcomes as their ``control``.
        place: of the noise in the curve; None without one.
    """
    if place is None or clips.control is None:
        return None
    both = clips.counted & (clips.success >= 0) & (clips.control >= 0)
    success, noise = clips.success[both] > 0, clips.control[both] > 0
    only_attack, only_control = int((success & ~noise).sum()), int((noise & ~success).sum())
    return Control(
        point=place,
        n=int(both.sum()),
        only_attack=only_attack,
        only_control=only_control,
        p=mcnemar(only_attack, only_control),
    )
