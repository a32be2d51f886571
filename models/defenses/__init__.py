"""Defences, one a file: parameters declared once, as a pydantic model that is a training loss.

A module of this folder that registers a class with ``@DEFENSES.register`` is found by itself.
"""

from models.defenses.adversary import Adversary
from models.defenses.defense import DEFENSES, AnyDefense, Defense, Inputs
from models.registry import import_modules

import_modules(__name__, __path__)

__all__ = ["DEFENSES", "Adversary", "AnyDefense", "Defense", "Inputs"]
