"""What a study trains with, one a file: rows of the paper's Tables 2 and 3, and what else there is.

A module of this folder that registers a class with ``@STUDY_TRAININGS.register`` is found by
itself.
"""

from models.registry import import_modules
from models.studies.trainings.training import (
    STUDY_TRAININGS,
    AnyStudyTraining,
    OfDefense,
    StudyTraining,
)

import_modules(__name__, __path__)

__all__ = ["STUDY_TRAININGS", "AnyStudyTraining", "OfDefense", "StudyTraining"]
