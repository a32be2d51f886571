"""Presets of audits, one a file: what a published method, or good practice, asks of an audit.

A module of this folder that registers a class with ``@PRESETS.register`` is found by itself.
"""

from models.presets.preset import PRESETS, Preset, PresetName, described
from models.registry import import_modules

import_modules(__name__, __path__)

__all__ = ["PRESETS", "Preset", "PresetName", "described"]
