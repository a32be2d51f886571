"""Attacks, one a file: parameters declared once, as a pydantic model that can run itself.

A module of this folder that registers a class with ``@ATTACKS.register`` is found by itself.
"""

from models.attacks.attack import (
    ATTACKS,
    MAX_STRENGTHS,
    AnyAttack,
    Attack,
    AttackLabels,
    Crafted,
    Goal,
    Listed,
    TargetLabel,
    Unsuited,
    parse,
)
from models.objectives import Loss, Objective, margin
from models.registry import import_modules

import_modules(__name__, __path__)

__all__ = [
    "ATTACKS",
    "MAX_STRENGTHS",
    "AnyAttack",
    "Attack",
    "AttackLabels",
    "Crafted",
    "Goal",
    "Listed",
    "Loss",
    "Objective",
    "TargetLabel",
    "Unsuited",
    "margin",
    "parse",
]
