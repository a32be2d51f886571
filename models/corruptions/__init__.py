"""Corruptions, one kind a file: what happens to speech by nature, with no adversary.

A module of this folder that registers a class with ``@CORRUPTIONS.register`` is found by itself.
"""

from models.corruptions.corruption import (
    CORRUPTIONS,
    MAX_STRENGTHS,
    AnyCorruption,
    Corruption,
    Few,
    Many,
    Recordings,
    Severity,
    parse,
)
from models.registry import import_modules

import_modules(__name__, __path__)

__all__ = [
    "CORRUPTIONS",
    "MAX_STRENGTHS",
    "AnyCorruption",
    "Corruption",
    "Few",
    "Many",
    "Recordings",
    "Severity",
    "parse",
]
