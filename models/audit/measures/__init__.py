"""Measures: what is taken of every point of an audit, one a file.

A module of this folder that registers a class with ``@MEASURES.register(name)`` is found by itself.
"""

from models.audit.figure import Figure
from models.audit.measures.measure import (
    BREAKDOWNS,
    MEASURES,
    Breakdown,
    Mean,
    Measure,
    Share,
    figures,
)
from models.registry import import_modules

import_modules(__name__, __path__)

__all__ = ["BREAKDOWNS", "MEASURES", "Breakdown", "Figure", "Mean", "Measure", "Share", "figures"]
