"""Remedies that can be run: JSON merge patches (RFC 7396) to the request of an audit.

A merge patch replaces a list as a whole, so one that adds an attack holds those that there are.
Whether the service accepts what comes out (there may be too many strengths) is looked at where the
request's schema is known.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from models.attacks import ATTACKS, Attack
from models.audit.checks.observed import Observed
from models.threats import ThreatModel

Patch = dict[str, Any]
EXPANDED: Final = ("preset", "transfer_from")
"""Fields of a request that add attacks to it wherever it is posted."""
STEPS: Final = 20
"""Of an iterative attack that a remedy adds."""
QUERIES: Final = 500
"""Of a square attack that a remedy adds: a hundred times what a gradient costs, and few enough for
an audit of some hundred clips."""


def attack(
    type_: str, threat: ThreatModel, strengths: Sequence[float], **parameters: Any
) -> Attack:
    """An attack of a threat model."""
    return ATTACKS.parse(
        {
            "type": type_,
            "domain": threat.domain,
            "norm": threat.norm,
            threat.strength_name: list(strengths),
        }
        | parameters
    )


def with_attacks(audit: Observed, *added: Attack, without: Collection[int] = ()) -> Patch:
    """The audit with these attacks as well.

    One that differs from another in its strengths alone gives them to that one.

    Args:
        without: attacks that are left out, by index.
    """
    known: dict[str, Attack] = {}
    there = [
        one
        for number, one in enumerate(audit.attacks)
        if isinstance(one, Attack) and number not in without
    ]
    for one in [*there, *added]:
        same = known.get(one.identity())
        known[one.identity()] = one if same is None else _joined(same, one)
    return _alone(audit, [one.model_dump(mode="json") for one in known.values()])


def changed(audit: Observed, numbers: Collection[int], **values: Any) -> Patch:
    """The audit with fields of some of its attacks changed; of one that carries out another, as a
    transfer does, those of the other."""
    told = []
    for number, one in enumerate(audit.attacks):
        if isinstance(one, Attack):
            said = one.model_dump(mode="json")
            if number in numbers:
                inner = said.get("attack")
                said |= values if inner is None else {"attack": inner | values}
            told.append(said)
    return _alone(audit, told)


def more_clips(audit: Observed) -> Patch | None:
    """The audit of all clips that there are; None if it has them already.

    Beyond the partition it goes only where the model says what it was trained on, and that is not
    this corpus.
    """
    if audit.request.get("limit") is not None:
        return {"limit": None}
    training, partition = audit.training, audit.request.get("partition")
    elsewhere = training.corpus is not None and training.corpus != audit.corpus
    if partition in (None, "all") or not elsewhere or training.public_speakers:
        return None
    return {"partition": "all", "fold": None}


def _alone(audit: Observed, attacks: list[dict[str, Any]]) -> Patch:
    """These attacks and no others: a preset would add its own again. All else that it stands for is
    spelt out in what was stored."""
    expanded = {name: None for name in EXPANDED if audit.request.get(name) is not None}
    return {"attacks": attacks, **expanded}


def _joined(first: Attack, second: Attack) -> Attack:
    """The first with the strengths of both."""
    name = first.threat.strength_name
    strengths = list(dict.fromkeys([*first.strengths, *second.strengths]))
    told: Mapping[str, Any] = first.model_dump(mode="json")
    return ATTACKS.parse(dict(told) | {name: strengths})
