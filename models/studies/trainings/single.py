"""The row "single" of Table 2."""

from typing import ClassVar

from models.defenses.single import Single
from models.studies.trainings.training import STUDY_TRAININGS, OfDefense


@STUDY_TRAININGS.register
class StudySingle(Single, OfDefense):
    """Clean data alone: the model without a defence, one for all strengths."""

    has_epsilon: ClassVar[bool] = False
