"""How large the changes were that were scored."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from pydantic import Field

from models.audit.figure import Figures
from models.audit.intervals import Floats
from models.audit.measures.measure import BREAKDOWNS, Breakdown
from models.audit.table import Table

SIZES: Final = ("linf", "l2", "snr_db", "band_db")


class Quartiles(Figures):
    """A quarter and three quarters of the clips have at most these."""

    linf: tuple[float, float]
    l2: tuple[float, float]
    snr_db: tuple[float, float] | None
    band_db: tuple[float, float]


class MedianDistortion(Figures):
    """Medians over the clips that were attacked, measured on what was scored."""

    linf: float
    l2: float
    snr_db: float | None
    band_db: float
    quartiles: Quartiles | None = Field(
        default=None, description="A quarter and three quarters of the clips have at most these."
    )


@BREAKDOWNS.register("distortion")
class Distortions(Breakdown):
    """Median and quartiles of each size."""

    name = "distortion"
    shown_in = "curve[].distortion"
    definition = (
        "Median and quartiles of the size of the changes, over the clips that were attacked: L∞ and"
        " L2 in the unit of the attack's domain (σ of a mel band, or full scale), SNR in dB (of"
        " waveforms), and dB in the mel band that changed most."
    )
    formula = (
        "‖δ‖∞; ‖δ‖₂; 20 log₁₀(‖x‖₂ / ‖δ‖₂); (20 / ln 10) · maxₘ √(mean over frames of"
        " Δ(log-mel)²). Quantiles are interpolated (Hyndman & Fan 1996, type 7)."
    )
    source = "Of what was scored, after projection and 16-bit rounding."


def distortion(clips: Table) -> MedianDistortion | None:
    """Of the clips that were attacked; None if there is none, or of a corruption."""
    clips = clips.where(~clips.left_alone & ~np.isnan(clips.linf))
    if not len(clips):
        return None
    found = {name: quantiles(getattr(clips, name), (0.25, 0.5, 0.75)) for name in SIZES}
    return MedianDistortion(
        **{name: each and each[1] for name, each in found.items()},
        quartiles=Quartiles(**{name: each and (each[0], each[2]) for name, each in found.items()}),
    )


def quantiles(values: Floats, shares: Sequence[float]) -> list[float] | None:
    """Of the values that are numbers; None if none is."""
    known = values[~np.isnan(values)]
    found: list[float] = np.quantile(known, shares).tolist() if len(known) else []
    return found or None
