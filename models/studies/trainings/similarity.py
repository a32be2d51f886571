"""The row "similarity" of Table 2."""

from models.defenses.similarity import Similarity
from models.studies.trainings.training import STUDY_TRAININGS, OfDefense


@STUDY_TRAININGS.register
class StudySimilarity(Similarity, OfDefense):
    """Similarity-based adversarial training (Eq. 4) against the attack of the study, once for each
    strength."""
