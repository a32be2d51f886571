"""The two pictures of an audit, after Figures 2 and 3 of the paper, as PNG.

Drawn with matplotlib's objects, never with pyplot: that keeps global state, and figures, for ever.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from torch import Tensor

from models.features import HIGHEST_HZ, HOP, LOWEST_HZ, MELS, SAMPLE_RATE, hz_to_mel

DPI: Final = 200
TICKS_HZ: Final = (100, 250, 500, 1000, 2000, 4000, 8000)
FONT: Final = "DejaVu Sans"
MOST_CHARACTERS: Final = 60
COLOURS: Final = ("#1f4e8c", "#c8442b", "#2e8b57", "#8e5ea2", "#b8860b")
MARKERS: Final = ("o", "s", "^", "D", "v")


@dataclass(frozen=True)
class Half:
    """One of the two spectrograms: what is shown, and what the model says about it.

    Attributes:
        log_mel: (frames, mels), natural logarithm.
        label: the prediction.
        score: its probability.
    """

    log_mel: Tensor
    label: str
    score: float


def spectrogram_pair(
    clean: Half, adversarial: Half, *, attack: str, truth: str | None, clip_frames: int | None
) -> bytes:
    """A clean and an adversarial log-mel side by side, on one colour scale (Figure 2).

    Args:
        attack: name and strength, such as "FGSM, ε = 0.02".
        truth: the clip's label, if it has one.
        clip_frames: where the clip begins again because it was tiled; None if it was cut.

    Returns:
        A PNG file.
    """
    figure = Figure(figsize=(7.2, 3.1), dpi=DPI, layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    both = torch.cat([clean.log_mel, adversarial.log_mel]).numpy()
    low, high = (float(value) for value in np.percentile(both, [1, 99.9]))
    for axes, name, half in ((left, "clean", clean), (right, attack, adversarial)):
        image = axes.imshow(
            half.log_mel.numpy().T,
            origin="lower",
            aspect="auto",
            interpolation="nearest",
            cmap="magma",
            vmin=low,
            vmax=max(high, low + 1e-3),
            extent=(0, len(half.log_mel) * HOP / SAMPLE_RATE, 0, MELS),
        )
        _title(axes, f"{name}: {half.label} ({half.score:.2f})")
        axes.set_xlabel("time in s")
        _mark_repeats(axes, len(half.log_mel), clip_frames)
    _hertz(left)
    bar = figure.colorbar(image, ax=[left, right], pad=0.015, aspect=25)
    bar.set_label("log-mel magnitude (ln)")
    if truth is not None:
        figure.suptitle(drawable(f"labelled {truth}"), fontsize=9, parse_math=False)
    return _png(figure)


def uar_curve(curve: Sequence[dict[str, Any]], clean_uar: float | None, *, title: str) -> bytes:
    """UAR against ε, a line for each attack (Figure 3); of clips without labels, flips against ε.

    Args:
        curve: as in the result of an audit.
        clean_uar: at ε = 0; None if no clip has a label.
        title: the model and the clips.

    Returns:
        A PNG file.
    """
    figure = Figure(figsize=(4.8, 3.4), dpi=DPI, layout="constrained")
    axes = figure.add_subplot()
    labelled = clean_uar is not None
    for number, (name, line) in enumerate(_lines(curve, clean_uar).items()):
        axes.plot(
            *zip(*sorted(line), strict=True),
            marker=MARKERS[number % len(MARKERS)],
            color=COLOURS[number % len(COLOURS)],
            markersize=4,
            linewidth=1.4,
            label=drawable(name),
            clip_on=False,
            zorder=3,
        )
    chance = _chance(curve) if labelled else None
    if chance is not None:
        axes.axhline(chance, color="0.45", linewidth=0.9, linestyle="--", label="chance")
    axes.set_ylim(0, 1)
    axes.set_xlim(left=0)
    axes.set_xlabel("ε in standard deviations of a mel band")
    axes.set_ylabel("UAR" if labelled else "share of changed predictions")
    axes.grid(color="0.9", linewidth=0.7)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=8)
    _title(axes, title)
    return _png(figure)


def _lines(
    curve: Sequence[dict[str, Any]], clean_uar: float | None
) -> dict[str, list[tuple[float, float]]]:
    """The points of each attack, from ε = 0 on."""
    lines: dict[str, dict[float, float]] = {}
    for point in curve:
        name = attack_name(point["attack"], point["labels"], point["clip"])
        value = point["uar"] if clean_uar is not None else point["success_rate"]
        lines.setdefault(name, {0.0: clean_uar or 0.0})[point["epsilon"]] = value
    return {name: list(line.items()) for name, line in lines.items()}


def attack_name(attack: str, labels: str, clip: float | None) -> str:
    """An attack in words, such as "FGSM (true labels)"."""
    bound = "" if clip is None else f", η = {clip:g}"
    return f"{attack.upper()} ({labels} labels{bound})"


def _chance(curve: Sequence[dict[str, Any]]) -> float | None:
    """UAR of a guess: one over the number of classes that there are clips of."""
    present = [recall for point in curve[:1] for recall in point["recall"].values()]
    known = sum(recall is not None for recall in present)
    return 1 / known if known else None


def _hertz(axes: Axes) -> None:
    """Label the bands with the frequencies of their middles."""
    ends = torch.tensor([LOWEST_HZ, HIGHEST_HZ, *TICKS_HZ], dtype=torch.float64)
    low, high, *mels = hz_to_mel(ends).tolist()
    # Band m has its middle at low + (m + 1) * step, and is drawn from m to m + 1.
    step = (high - low) / (MELS + 1)
    places = [(mel - low) / step - 0.5 for mel in mels]
    shown = [(place, hz) for place, hz in zip(places, TICKS_HZ, strict=True) if place <= MELS + 0.5]
    axes.set_yticks(
        [min(place, MELS) for place, _ in shown],
        [f"{hz / 1000:g}k" if hz >= 1000 else str(hz) for _, hz in shown],
    )
    axes.set_ylabel("mel band, centre in Hz")


def _mark_repeats(axes: Axes, frames: int, clip_frames: int | None) -> None:
    """A short clip is tiled: show where it begins again."""
    if clip_frames is None:
        return
    for start in range(clip_frames, frames, clip_frames):
        axes.axvline(start * HOP / SAMPLE_RATE, color="white", linewidth=0.8, linestyle=":")


def _title(axes: Axes, text: str) -> None:
    # Labels come from outside: a "$" in one of them is not mathematics.
    axes.set_title(drawable(text), fontsize=9, parse_math=False)


def drawable(text: str) -> str:
    """``text`` as the font can draw it: short, other scripts' letters as \\u escapes."""
    if len(text) > MOST_CHARACTERS:
        text = f"{text[: MOST_CHARACTERS - 1]}…"
    return "".join(
        letter if _in_font(letter) else letter.encode("unicode_escape").decode() for letter in text
    )


@lru_cache(maxsize=1024)
def _in_font(letter: str) -> bool:
    font = get_font(findfont(FontProperties(family=FONT)))
    return letter.isprintable() and font.get_char_index(ord(letter)) != 0


def _png(figure: Figure) -> bytes:
    with io.BytesIO() as file:
        FigureCanvasAgg(figure).print_png(file)  # type: ignore[no-untyped-call]
        return file.getvalue()
