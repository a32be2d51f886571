"""Victims: models as an attacker sees them, one kind a file."""

from models.victims.spectrogram_net import SpectrogramVictim, Windows
from models.victims.victim import (
    Access,
    AccessDenied,
    BudgetExceeded,
    Cost,
    Gradient,
    Meter,
    MeteredView,
    OnPass,
    Victim,
    View,
    metered,
)

__all__ = [
    "Access",
    "AccessDenied",
    "BudgetExceeded",
    "Cost",
    "Gradient",
    "Meter",
    "MeteredView",
    "OnPass",
    "SpectrogramVictim",
    "Victim",
    "View",
    "Windows",
    "metered",
]
