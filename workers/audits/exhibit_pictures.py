"""The three pictures of an exhibit: a clip, the clip under attack, and what the attack changed.

The first two share one scale of colours; the third has a diverging one about zero. All are in dB:
20 log10 of a mel magnitude, which is 8.686 times the natural logarithm that the network is given.
"""

import io
import math
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from matplotlib import rc_context
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

from models.features import HOP, MELS, SAMPLE_RATE
from workers.audits.pictures import drawable, hertz_axis, mark_repeats, png, set_title

View = Literal["original", "adversarial", "difference"]
VIEWS: Final[tuple[View, ...]] = ("original", "adversarial", "difference")
DPI: Final = 150
DB: Final = 20 / math.log(10)
SMALLEST_RANGE_DB: Final = 0.01
"""Of a scale of colours: a clip may be flat, and a difference tiny."""
MARGINS: Final = {"left": 0.125, "right": 0.955, "bottom": 0.145, "top": 0.855}
"""Of all pictures alike, so that they can be laid over each other."""


@dataclass(frozen=True)
class Exhibited:
    """What the pictures show.

    Attributes:
        original, adversarial: log-mels, (frames, mels), natural logarithm.
        titles: of each picture.
        notes: a second line of each.
        start_s: of the first frame, seconds.
        clip_frames: where the clip begins again because it was tiled; None if it was not.
    """

    original: Tensor
    adversarial: Tensor
    titles: dict[View, str]
    notes: dict[View, str]
    start_s: float = 0.0
    clip_frames: int | None = None


@dataclass(frozen=True)
class Picture:
    """A picture as two files."""

    png: bytes
    svg: bytes


@dataclass(frozen=True)
class _Scale:
    """Which colours stand for which values."""

    colours: str
    low: float
    high: float
    label: str


def exhibit_pictures(shown: Exhibited) -> dict[View, Picture]:
    """All three, drawn once each."""
    figures = draw_exhibit(shown)
    return {view: Picture(png(figure), _svg(figure)) for view, figure in figures.items()}


def draw_exhibit(shown: Exhibited) -> dict[View, Figure]:
    """See :func:`exhibit_pictures`."""
    original, adversarial = (DB * x.double().numpy() for x in (shown.original, shown.adversarial))
    level, change = _scales(original, adversarial)
    return {
        "original": _draw(shown, "original", original, level),
        "adversarial": _draw(shown, "adversarial", adversarial, level),
        "difference": _draw(shown, "difference", adversarial - original, change),
    }


def _scales(
    original: NDArray[np.float64], adversarial: NDArray[np.float64]
) -> tuple[_Scale, _Scale]:
    low, high = np.percentile(np.concatenate([original, adversarial]), [1, 99.9]).tolist()
    level = _Scale("magma", low, max(high, low + SMALLEST_RANGE_DB), "level in dB")
    largest = float(np.percentile(np.abs(adversarial - original), 99.9))
    largest = max(largest, SMALLEST_RANGE_DB)
    return level, _Scale("RdBu_r", -largest, largest, "change in dB")


def _draw(shown: Exhibited, view: View, values: NDArray[np.float64], scale: _Scale) -> Figure:
    figure = Figure(figsize=(4.4, 3.0), dpi=DPI)
    axes = figure.subplots(gridspec_kw=MARGINS)
    end = shown.start_s + len(values) * HOP / SAMPLE_RATE
    image = axes.imshow(
        values.T,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        cmap=scale.colours,
        vmin=scale.low,
        vmax=scale.high,
        extent=(shown.start_s, end, 0, MELS),
    )
    figure.suptitle(drawable(shown.titles[view]), x=0.46, y=0.97, fontsize=9, parse_math=False)
    set_title(axes, shown.notes[view])
    axes.title.set_fontsize(7.5)
    axes.set_xlabel("time in s, as the network hears it", fontsize=8)
    axes.tick_params(labelsize=7.5)
    grey_or_white = "0.35" if view == "difference" else "white"
    mark_repeats(axes, len(values), shown.clip_frames, grey_or_white)
    hertz_axis(axes)
    axes.yaxis.label.set_fontsize(8)
    bar = figure.colorbar(image, ax=axes, pad=0.02, aspect=22)
    bar.set_label(scale.label, fontsize=8)
    bar.ax.tick_params(labelsize=7.5)
    return figure


def _svg(figure: Figure) -> bytes:
    # Letters as outlines look the same everywhere; with a salt, names in the file are the same
    # each time.
    settings = rc_context({"svg.fonttype": "path", "svg.hashsalt": "serval"})
    with io.BytesIO() as file, settings:
        FigureCanvasSVG(figure).print_svg(  # type: ignore[no-untyped-call]
            file, metadata={"Date": None}
        )
        return file.getvalue()
