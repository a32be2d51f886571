"""The row "vanilla" of Table 2."""

from models.defenses.vanilla import Vanilla
from models.studies.trainings.training import STUDY_TRAININGS, OfDefense


@STUDY_TRAININGS.register
class StudyVanilla(Vanilla, OfDefense):
    """Adversarial training (Eq. 3) against the attack of the study, once for each strength."""
