"""Measures: what is taken of every point of an audit, one a file.

A module of this folder that registers a class with ``@MEASURES.register(name)`` is found by itself.
"""

from models.audit.measures.measure import MEASURES, Figure, Measure, Share
from models.registry import import_modules

import_modules(__name__, __path__)

__all__ = ["MEASURES", "Figure", "Measure", "Share"]
