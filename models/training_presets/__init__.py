"""Presets of trainings, one a file: how a published method trains.

A module of this folder that registers a class with ``@TRAINING_PRESETS.register`` is found by
itself.
"""

from models.registry import import_modules
from models.training_presets.preset import (
    TRAINING_PRESETS,
    TrainingPreset,
    TrainingPresetName,
    described,
)

import_modules(__name__, __path__)

__all__ = ["TRAINING_PRESETS", "TrainingPreset", "TrainingPresetName", "described"]
