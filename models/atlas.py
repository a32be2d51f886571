"""Names of the techniques of MITRE ATLAS that the attacks here carry out.

An attack says in its own file which they are (:attr:`models.attacks.Attack.atlas`). Source: the
ATLAS matrix, https://atlas.mitre.org/techniques; older releases say "ML" where this one says "AI".
"""

from typing import Final

TECHNIQUES: Final[dict[str, str]] = {
    "AML.T0015": "Evade AI Model",
    "AML.T0043.000": "Craft Adversarial Data: White-Box Optimization",
    "AML.T0043.001": "Craft Adversarial Data: Black-Box Optimization",
    "AML.T0043.002": "Craft Adversarial Data: Black-Box Transfer",
}
"""By id."""


def described(technique: str) -> str:
    """An id with its name; alone if the name is not known here, as of an attack of yours."""
    name = TECHNIQUES.get(technique)
    return technique if name is None else f"{technique} {name}"
