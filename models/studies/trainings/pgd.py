"""Training with projected gradient descent, which the paper does not have."""

from models.defenses.pgd import PgdTraining
from models.studies.trainings.training import STUDY_TRAININGS, OfDefense


@STUDY_TRAININGS.register
class StudyPgd(PgdTraining, OfDefense):
    """Training on adversarial data alone, from projected gradient descent, once for each
    strength."""
