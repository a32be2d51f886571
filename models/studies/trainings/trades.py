"""TRADES, which the paper does not have."""

from models.defenses.trades import Trades
from models.studies.trainings.training import STUDY_TRAININGS, OfDefense


@STUDY_TRAININGS.register
class StudyTrades(Trades, OfDefense):
    """TRADES: the clean loss and the divergence under attack, once for each strength."""
