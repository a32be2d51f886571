"""From which emotion to which an attack drives predictions."""

from typing import Final

import numpy as np
from pydantic import Field

from models.audit.figure import Figure, Figures, share
from models.audit.measures.measure import BREAKDOWNS, Breakdown
from models.audit.table import Table

MOST_CLASSES: Final = 64
"""Of which a matrix is made: with a thousand it has a million cells a point."""
MOST_DRIVEN: Final = 16
"""Emotions that are named."""

VALENCE: Final = {
    "anger": -0.51,
    "boredom": -0.65,
    "disgust": -0.60,
    "fear": -0.64,
    "happiness": 0.81,
    "joy": 0.76,
    "neutral": 0.0,
    "sadness": -0.63,
    "surprise": 0.40,
}
"""How pleasant an emotion is, from -1 to 1: the means of the pleasure scale of Russell & Mehrabian,
"Evidence for a Three-Factor Theory of Emotions", J. Research in Personality 1977 (boredom:
Mehrabian, "Pleasure-Arousal-Dominance", Current Psychology 1996). Neutral is the scale's middle."""


class Valence(Figures):
    """Whether what the model hears becomes more or less pleasant."""

    negative: Figure = Field(description="Share of the flips towards a less pleasant emotion.")
    positive: Figure = Field(description="Share of those towards a more pleasant one.")
    unknown: int = Field(description="Flips from or to an emotion that the table lacks.")


class Flipped(Figures):
    """The predictions that the attack changed."""

    n: int = Field(description="How many.")
    matrix: list[list[int]] | None = Field(
        description="All clips: a row for each emotion predicted before, a column for each under"
        " the attack, in the order of `labels`. Null for more than 64 emotions."
    )
    driven_to: dict[str, Figure] = Field(
        description="Share of the flips that end at each emotion, the most frequent first; at most"
        " 16."
    )
    valence: Valence | None = Field(
        description="Null where no flip has a valence before and after, or nothing flipped."
    )


@BREAKDOWNS.register("flips")
class Flips(Breakdown):
    """The flip matrix, where flips end, and their valence."""

    name = "flips"
    shown_in = "curve[].flips"
    definition = (
        "Flip matrix (clean prediction by prediction under the attack), the emotions that flips"
        " end at, and whether those are more or less pleasant than the ones before. Emotions that"
        " the valence table lacks have no direction and are counted as unknown."
    )
    formula = "P(ŷ′ = k | ŷ′ ≠ ŷ); P(v(ŷ′) < v(ŷ) | ŷ′ ≠ ŷ), v: " + ", ".join(
        f"{name} {value:+.2f}" for name, value in VALENCE.items()
    )
    source = (
        "Valence: pleasure in Russell & Mehrabian, Evidence for a Three-Factor Theory of Emotions,"
        " Journal of Research in Personality 1977; boredom in Mehrabian, Current Psychology 1996;"
        " neutral is the middle of their scale."
    )


def flips(clips: Table) -> Flipped:
    """Of all clips of a point."""
    n = len(clips.labels)
    flipped = clips.where(clips.after != clips.before)
    all_of_them = np.ones(len(flipped), dtype=np.bool_)
    counts = np.bincount(flipped.after, minlength=n)
    ends = [int(place) for place in np.argsort(-counts, kind="stable") if counts[place]]
    return Flipped(
        n=len(flipped),
        matrix=_matrix(clips) if n <= MOST_CLASSES else None,
        driven_to={
            clips.labels[end]: share(flipped.after == end, all_of_them, flipped.speaker)
            for end in ends[:MOST_DRIVEN]
        },
        valence=_valence(flipped),
    )


def _matrix(clips: Table) -> list[list[int]]:
    n = len(clips.labels)
    cells = np.bincount(clips.before * n + clips.after, minlength=n * n)
    found: list[list[int]] = cells.reshape(n, n).tolist()
    return found


def _valence(flipped: Table) -> Valence | None:
    each = np.array([VALENCE.get(label.lower(), np.nan) for label in flipped.labels])
    change = each[flipped.after] - each[flipped.before]
    known = ~np.isnan(change)
    if not bool(known.any()):
        return None
    return Valence(
        negative=share(change < 0, known, flipped.speaker),
        positive=share(change > 0, known, flipped.speaker),
        unknown=int((~known).sum()),
    )
